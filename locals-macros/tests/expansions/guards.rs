// All arguments. The check gets the type of the user from the signature.
#[post("/admin/delete")]
#[require_user(redirect = "/login?from=admin", check = Account::is_admin, recent = "1h30m")]
async fn delete(user: User<Account>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}
