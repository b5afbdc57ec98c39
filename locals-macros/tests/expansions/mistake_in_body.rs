// With `self` or without the type of the user, the function inside would be one mistake more.
#[with_session]
async fn unnamed(&self, user: Option<User>) -> String {
    self.name()
}
