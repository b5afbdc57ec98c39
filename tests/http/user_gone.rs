//! Users who are deleted between the check of their password and their login.

use actix_web::{http::StatusCode, post, web};
use locals::{Auth, Error, Locals, Session, store::SqlStore, with_session};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    app,
    events::Events,
    send,
    support::{self, Account, Fixture, cookie, problem},
};

/// Makes a session by each of the verbs that do, after the row of its user is gone.
#[post("/{verb}")]
#[with_session]
async fn make(
    verb: web::Path<String>,
    locals: Locals,
    auth: Auth<Account>,
    pool: web::Data<SqlitePool>,
) -> Result<&'static str, Error> {
    let user: Account =
        sqlx::query_as("SELECT * FROM accounts WHERE id = 1").fetch_one(pool.get_ref()).await?;
    // The password is right; and now somebody else deletes the account.
    sqlx::query("DELETE FROM accounts WHERE id = 1").execute(pool.get_ref()).await?;
    let made: Result<Session, Error> = match verb.as_str() {
        "log_in" => locals.log_in(&user).await,
        "create_session" => locals.create_session(&user).await,
        "manager" => auth.create_session(&user).await,
        "within" => {
            let mut transaction = pool.begin().await?;
            let made = auth.within(&mut transaction)?.create_session(&user).await;
            transaction.commit().await?;
            made
        }
        "impersonate" => locals.impersonate(&user).await,
        verb => panic!("{verb} is no verb"),
    };
    made.map(|_| "in")
}

const VERBS: [&str; 5] = ["log_in", "create_session", "manager", "within", "impersonate"];

#[actix_web::test]
async fn no_verb_creates_a_session_for_a_user_who_was_deleted_meanwhile() {
    for foreign_keys in [true, false] {
        for verb in VERBS {
            let fixture = Fixture::new().await;
            // That of another user, in the same browser.
            let before = fixture.session(2).await;
            fixture.account(1).await;
            let options: SqliteConnectOptions = (*fixture.pool().connect_options()).clone();
            // A pool that the app has opened itself, as it likes.
            let options = options.foreign_keys(foreign_keys);
            let pool = SqlitePool::connect_with(options).await.unwrap();
            let auth = Auth::builder(SqlStore::new(pool.clone())).clock(fixture.clock.clone());
            let own = Own { auth: auth.build().unwrap() };
            let app = app!(own; web::Data::new(pool), make);
            let (events, _guard) = Events::capture();

            let path = format!("/{verb}");
            let reply = send!(app, support::post(&path).insert_header(cookie(&before)));

            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{verb}: {reply:?}");
            assert_eq!(reply.body, problem(401, "user_gone", "The account is gone"), "{verb}");
            assert!(reply.sets_no_cookie(), "{verb}: the browser keeps what it had");
            let logged = events.take();
            assert!(!logged.contains_key("store_failed"), "{verb}: {logged:?}");
            assert_eq!(logged["refused"].fields["code"], "user_gone", "{verb}");
            assert_eq!(fixture.rows().await, 1, "{verb}: the other session alone");
            assert!(fixture.row(&before).await.is_some(), "{verb}: and it lives");
        }
    }
}

/// The app of the pool.
struct Own {
    auth: Auth<Account>,
}
