// Without `cfg`, which the compiler evaluates before the macro sees the function.
/// Routes and documentation stay outside, lint levels go to both functions, the rest goes inside.
#[get("/old")]
#[actix_web::post("/old")]
#[deprecated]
#[allow(unused_variables)]
#[expect(clippy::unused_async, reason = "an example")]
#[tracing::instrument(skip(locals))]
#[with_session]
async fn old(
    /// A parameter may be documented.
    #[allow(unused_mut)]
    mut locals: Locals,
) -> &'static str {
    "old"
}
