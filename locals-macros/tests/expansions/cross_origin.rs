#[post("/webhook")]
#[with_session(cross_origin)]
async fn webhook(body: String, _locals: Locals) -> HttpResponse {
    HttpResponse::NoContent().finish()
}
