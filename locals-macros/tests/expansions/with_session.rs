// The least: no parameters, and no value.
#[get("/health")]
#[with_session]
async fn health() {}
