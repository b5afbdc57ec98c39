//! Passwords: hashed by Argon2id, a few at a time, and beside the threads that answer requests.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use actix_web::{HttpResponse, HttpResponseBuilder, web};
use locals::{Error, Locals};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    account::{Account, Accounts},
    throttle::Throttle,
};

/// In bytes: a longer address of e-mail is none (RFC 5321), and hashing a book takes too long.
pub const LONGEST_EMAIL: usize = 254;
const LONGEST_PASSWORD: usize = 1024;

pub struct Passwords {
    accounts: Accounts,
    throttle: Throttle,
    /// One for each core. Each hash fills 19 MiB.
    turns: Arc<Semaphore>,
    /// What the password of somebody unknown is compared with, so that they cost as much.
    nobody: String,
}

impl Passwords {
    pub fn new(accounts: Accounts) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let nobody = password_auth::generate_hash("nobody's password");
        let (throttle, turns) = (Throttle::new(), Arc::new(Semaphore::new(cores)));
        Self { accounts, throttle, turns, nobody }
    }

    /// The account with this address, if the password is its own. The outer error is the database's,
    /// the inner one is for the visitor.
    pub async fn check(
        &self,
        locals: &Locals,
        email: &str,
        password: String,
    ) -> Result<Result<Account, Refusal>, Error> {
        // Nobody has these, so they cost nothing, and nothing of them is kept to be counted.
        if email.len() > LONGEST_EMAIL || password.len() > LONGEST_PASSWORD {
            return Ok(Err(Refusal::Wrong));
        }
        if let Err(wait) = self.throttle.count(locals, email) {
            return Ok(Err(Refusal::TooManyTries(wait)));
        }
        let account = self.accounts.by_email(email).await?;
        let hash = account.as_ref().map(|account| &*account.password_hash);
        Ok(match self.is_right(password, hash).await {
            Ok(is_right) => account.filter(|_| is_right).ok_or(Refusal::Wrong),
            Err(refusal) => Err(refusal),
        })
    }

    /// Whether a password is the one of this hash. Without a hash it is wrong, and as much work.
    async fn is_right(&self, password: String, hash: Option<&str>) -> Result<bool, Refusal> {
        let (is_known, hash) = (hash.is_some(), hash.unwrap_or(&self.nobody).to_owned());
        let verify = move || password_auth::verify_password(password, &hash).is_ok();
        Ok(self.in_turn(verify).await? && is_known)
    }

    /// What is kept of a new password. It costs as much as a check, and counts as a try.
    pub async fn hash(&self, locals: &Locals, email: &str, new: String) -> Result<String, Refusal> {
        self.throttle.count(locals, email).map_err(Refusal::TooManyTries)?;

        // The least that NIST SP 800-63B asks for where there is no second factor.
        if new.chars().count() < 15 || new.len() > LONGEST_PASSWORD {
            return Err(Refusal::Unfit);
        }
        self.in_turn(move || password_auth::generate_hash(new)).await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = timeout(Duration::from_secs(1), turn).await else {
            return Err(Refusal::Busy);
        };
        // The turn lasts as long as the work, which goes on when its client has gone away.
        let in_turn = move || {
            let _turn = turn;
            work()
        };
        web::block(in_turn).await.map_err(|_| Refusal::Busy)
    }
}

/// Why a password is not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// Which of the two is wrong is not for strangers to know.
    Wrong,
    Unfit,
    /// For so many seconds.
    TooManyTries(u64),
    /// More passwords than the machine can hash.
    Busy,
}

impl Refusal {
    /// Begins an answer that says so.
    pub fn response(&self) -> HttpResponseBuilder {
        match self {
            Self::Wrong => HttpResponse::Unauthorized(),
            Self::Unfit => HttpResponse::UnprocessableEntity(),
            Self::TooManyTries(wait) => {
                HttpResponse::TooManyRequests().insert_header(("Retry-After", *wait)).take()
            }
            Self::Busy => {
                HttpResponse::ServiceUnavailable().insert_header(("Retry-After", 1)).take()
            }
        }
    }

    pub fn text(&self) -> &'static str {
        match self {
            Self::Wrong => "Wrong e-mail or password.",
            Self::Unfit => "A password has at least 15 characters, and less than a page.",
            Self::TooManyTries(_) => "Too many tries. Wait for two minutes.",
            Self::Busy => "Too many people are logging in. Try again in a moment.",
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
        let hash = passwords.in_turn(|| password_auth::generate_hash(PASSWORD)).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (password, hash, expected) in [
            (PASSWORD, Some(&*hash), true),
            ("wrong", Some(&*hash), false),
            (PASSWORD, None, false),
            ("nobody's password", None, false),
        ] {
            let is_right = passwords.is_right(password.to_owned(), hash).await.unwrap();
            assert_eq!(is_right, expected, "{password}");
        }
    }

    #[actix_web::test]
    async fn a_client_who_goes_away_keeps_the_turn_until_the_work_is_done() {
        let passwords = passwords();
        let turns = passwords.turns.available_permits();
        let (end, ended) = mpsc::channel::<()>();
        {
            let request = pin!(passwords.in_turn(move || ended.recv()));
            assert!(request.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(passwords.turns.available_permits(), turns - 1);
        drop(end);
        let all = u32::try_from(turns).unwrap();
        drop(passwords.turns.acquire_many(all).await.unwrap());
    }

    #[actix_web::test]
    async fn somebody_unknown_costs_as_much_as_somebody_known() {
        let passwords = passwords();
        let known = passwords.in_turn(|| password_auth::generate_hash(PASSWORD)).await.unwrap();
        let cost = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(cost(&passwords.nobody), cost(&known), "the same parameters");

        // Both wait for a turn, and here is none.
        passwords.turns.close();
        for hash in [Some(&*known), None] {
            let is_right = passwords.is_right(PASSWORD.to_owned(), hash).await;
            assert!(matches!(is_right, Err(Refusal::Busy)));
        }
    }
}
