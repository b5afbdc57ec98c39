//! Verifying a password. `docs/recipes.md` explains it; `examples/accounts` is a complete app.

use std::sync::LazyLock;

use actix_web::{error::ErrorServiceUnavailable, web};
use password_auth::{generate_hash, verify_password};
use tokio::sync::Semaphore;

/// How many passwords are hashed at the same time. Each takes a core and 19 MiB of memory.
const MAX_CONCURRENT: usize = 2;

static PERMITS: Semaphore = Semaphore::const_new(MAX_CONCURRENT);

/// Verified if the account does not exist, so that the response takes as long.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| generate_hash("dummy password"));

/// Returns whether the password is correct. `hash` is `None` if the account does not exist.
pub async fn verify(password: String, hash: Option<String>) -> actix_web::Result<bool> {
    let account_exists = hash.is_some();
    let permit = PERMITS.acquire().await.map_err(ErrorServiceUnavailable)?;
    // Hashing takes long, so it runs on a blocking thread.
    let is_correct = web::block(move || {
        let _permit = permit; // held until the hash is done, even if the client disconnects
        let hash = hash.unwrap_or_else(|| DUMMY_HASH.clone());
        verify_password(password, &hash).is_ok()
    });
    Ok(is_correct.await? && account_exists)
}
