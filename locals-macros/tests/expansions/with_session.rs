// The smallest handler: no parameters and no return value.
#[get("/health")]
#[with_session]
async fn health() {}
