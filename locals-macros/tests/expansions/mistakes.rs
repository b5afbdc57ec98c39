// All errors are reported, and a function of the same shape is left.
/// Documented.
#[get("/mistakes")]
#[require_user(chek = Account::is_admin, cross_origin)]
pub unsafe fn mistakes(session: Option<Session>, user: &User<Account>) -> impl Responder {
    user.name.clone()
}
