// The signature names no type of user, so it is inferred from the check.
#[require_user(check = |account: &Account| account.id > 2 && account.is_admin())]
async fn audit(session: Session) -> String {
    session.id().to_string()
}
