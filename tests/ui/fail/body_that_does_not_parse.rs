//! A half-written body is the only mistake that is reported.
use actix_web::{App, web};
use locals::with_session;

#[with_session]
async fn home() -> &'static str {
    let greeting = ;
    greeting
}

fn main() {
    let _ = App::new().route("/", web::get().to(home));
}
