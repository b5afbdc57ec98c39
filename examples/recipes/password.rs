//! Checking a password. `docs/recipes.md` explains it; `examples/accounts` is a whole app.

use std::sync::LazyLock;

use actix_web::{error::ErrorServiceUnavailable, web};
use password_auth::{generate_hash, verify_password};
use tokio::sync::Semaphore;

/// How many passwords are checked at once: each check takes a core and 19 MiB of memory.
const AT_ONCE: usize = 2;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// What the password of somebody unknown is compared with, so that they cost as much time.
static NOBODY: LazyLock<String> = LazyLock::new(|| generate_hash("nobody's password"));

/// Whether a password is right. `hash` is that of the account, if there is one.
pub async fn is_right(password: String, hash: Option<String>) -> actix_web::Result<bool> {
    let is_known = hash.is_some();
    let turn = TURNS.acquire().await.map_err(ErrorServiceUnavailable)?;
    // Off the event loop: meanwhile this thread serves others.
    let is_right = web::block(move || {
        let _turn = turn; // the work goes on when its client has gone away, and so does its turn
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        verify_password(password, &hash).is_ok()
    });
    Ok(is_right.await? && is_known)
}
