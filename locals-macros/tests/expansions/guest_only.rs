#[get("/login")]
#[with_session(guest_only = "/")]
async fn login_page() -> impl Responder {
    NamedFile::open_async("login.html").await
}
