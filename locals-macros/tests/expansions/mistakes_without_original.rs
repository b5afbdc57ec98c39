// Here the original would only add errors of its own, so it is left out.
#[with_session]
async fn unnamed(&self, user: Option<User>) -> String {
    self.name()
}
