//! Passwords, hashed with Argon2id: a limited number at the same time, on blocking threads.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use actix_web::{HttpResponse, HttpResponseBuilder, web};
use locals::{Error, Locals};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    account::{Account, Accounts},
    throttle::Throttle,
};

/// In bytes. No e-mail address is longer (RFC 5321).
pub const MAX_EMAIL: usize = 254;
/// In bytes, so that nobody can make the server hash a huge text.
const MAX_PASSWORD: usize = 1024;

pub struct Passwords {
    accounts: Accounts,
    throttle: Throttle,
    /// One for each core. Each hash takes 19 MiB of memory.
    permits: Arc<Semaphore>,
    /// Verified if the account does not exist, so that the response takes as long.
    dummy_hash: String,
}

impl Passwords {
    pub fn new(accounts: Accounts) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let dummy_hash = password_auth::generate_hash("dummy password");
        let (throttle, permits) = (Throttle::new(), Arc::new(Semaphore::new(cores)));
        Self { accounts, throttle, permits, dummy_hash }
    }

    /// Returns the account with this e-mail address if the password is correct. The outer error is
    /// that of the database, the inner one is for the user.
    pub async fn check(
        &self,
        locals: &Locals,
        email: &str,
        password: String,
    ) -> Result<Result<Account, Rejection>, Error> {
        // No account has such credentials, so they are neither counted nor hashed.
        if email.len() > MAX_EMAIL || password.len() > MAX_PASSWORD {
            return Ok(Err(Rejection::Wrong));
        }
        if let Err(wait) = self.throttle.count(locals, email) {
            return Ok(Err(Rejection::TooManyAttempts(wait)));
        }
        let account = self.accounts.find_by_email(email).await?;
        let hash = account.as_ref().map(|account| &*account.password_hash);
        Ok(match self.verify(password, hash).await {
            Ok(is_correct) => account.filter(|_| is_correct).ok_or(Rejection::Wrong),
            Err(rejection) => Err(rejection),
        })
    }

    /// Verifies a password. Without a hash the result is `false`, after the same work.
    async fn verify(&self, password: String, hash: Option<&str>) -> Result<bool, Rejection> {
        let account_exists = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        let verify = move || password_auth::verify_password(password, &hash).is_ok();
        Ok(self.run(verify).await? && account_exists)
    }

    /// Hashes a new password. This takes as long as a check and counts as an attempt.
    pub async fn hash(
        &self,
        locals: &Locals,
        email: &str,
        new: String,
    ) -> Result<String, Rejection> {
        self.throttle.count(locals, email).map_err(Rejection::TooManyAttempts)?;

        // The minimum in NIST SP 800-63B if there is no second factor.
        if new.chars().count() < 15 || new.len() > MAX_PASSWORD {
            return Err(Rejection::InvalidLength);
        }
        self.run(move || password_auth::generate_hash(new)).await
    }

    /// Runs this on a blocking thread, once there is a permit.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let Ok(Ok(permit)) = timeout(Duration::from_secs(1), permit).await else {
            return Err(Rejection::Busy);
        };
        let work = move || {
            let _permit = permit; // held until the work is done, even if the client disconnects
            work()
        };
        web::block(work).await.map_err(|_| Rejection::Busy)
    }
}

/// Why a password is not accepted.
#[derive(Debug)]
pub enum Rejection {
    /// Does not say which of the two is wrong.
    Wrong,
    InvalidLength,
    /// With the number of seconds to wait.
    TooManyAttempts(u64),
    /// No permit within a second.
    Busy,
}

impl Rejection {
    /// The status and the headers of the response.
    pub fn response(&self) -> HttpResponseBuilder {
        match self {
            Self::Wrong => HttpResponse::Unauthorized(),
            Self::InvalidLength => HttpResponse::UnprocessableEntity(),
            Self::TooManyAttempts(wait) => {
                HttpResponse::TooManyRequests().insert_header(("Retry-After", *wait)).take()
            }
            Self::Busy => {
                HttpResponse::ServiceUnavailable().insert_header(("Retry-After", 1)).take()
            }
        }
    }

    pub fn message(&self) -> &'static str {
        match self {
            Self::Wrong => "Wrong e-mail or password.",
            Self::InvalidLength => {
                "A password must have at least 15 characters and at most 1,024 bytes."
            }
            Self::TooManyAttempts(_) => "Too many attempts. Wait two minutes and try again.",
            Self::Busy => "The server is busy. Try again in a moment.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::mpsc,
        task::{Context, Waker},
    };

    use sqlx::SqlitePool;

    use super::*;

    const PASSWORD: &str = "correct-horse-battery-staple";

    fn passwords() -> Passwords {
        let pool = SqlitePool::connect_lazy("sqlite::memory:").unwrap();
        Passwords::new(Accounts::Sqlite(pool))
    }

    #[actix_web::test]
    async fn a_password_is_right_for_its_own_hash_and_for_no_other() {
        let passwords = passwords();
        let hash = passwords.run(|| password_auth::generate_hash(PASSWORD)).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (password, hash, expected) in [
            (PASSWORD, Some(&*hash), true),
            ("wrong", Some(&*hash), false),
            (PASSWORD, None, false),
            ("dummy password", None, false),
        ] {
            let is_correct = passwords.verify(password.to_owned(), hash).await.unwrap();
            assert_eq!(is_correct, expected, "{password}");
        }
    }

    #[actix_web::test]
    async fn a_client_who_goes_away_keeps_the_turn_until_the_work_is_done() {
        let passwords = passwords();
        let permits = passwords.permits.available_permits();
        let (end, ended) = mpsc::channel::<()>();
        {
            let request = pin!(passwords.run(move || ended.recv()));
            assert!(request.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(passwords.permits.available_permits(), permits - 1);
        drop(end);
        let all = u32::try_from(permits).unwrap();
        drop(passwords.permits.acquire_many(all).await.unwrap());
    }

    #[actix_web::test]
    async fn somebody_unknown_costs_as_much_as_somebody_known() {
        let passwords = passwords();
        let known = passwords.run(|| password_auth::generate_hash(PASSWORD)).await.unwrap();
        let cost = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(cost(&passwords.dummy_hash), cost(&known), "the same parameters");

        // Both need a permit, and there is none.
        passwords.permits.close();
        for hash in [Some(&*known), None] {
            let is_correct = passwords.verify(PASSWORD.to_owned(), hash).await;
            assert!(matches!(is_correct, Err(Rejection::Busy)));
        }
    }
}
