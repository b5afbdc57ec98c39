// No parameter names the type of the user: the closure does.
#[require_user(check = |account: &Account| account.id > 2 && account.is_admin())]
async fn audit(session: Session) -> String {
    session.id().to_string()
}
