// Without `cfg`, which the compiler evaluates before it calls the macro.
/// Routes and documentation go to the wrapper, lint levels to both functions, the rest to the original.
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
