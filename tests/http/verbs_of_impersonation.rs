//! Every verb that makes or strengthens a session, during an impersonation: refused, or the actor
//! is kept.

use actix_web::{Responder, http::StatusCode, post, web};
use locals::{
    Auth, Error, Locals, LogInOptions, SafeRedirect, Session, require_user, store::SqlStore,
    with_session,
};
use sqlx::{Sqlite, SqlitePool};

use crate::{
    app, send,
    support::{self, Account, Cart, Fixture, as_set, cookie, problem},
};

#[post("/impersonate/{id}")]
#[require_user]
async fn impersonate(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&Account::of(*id)).await?;
    Ok("")
}

#[post("/me")]
#[require_user]
async fn me(session: Session) -> String {
    format!("{} by {:?}", session.user_id(), session.actor().map(ToString::to_string))
}

/// An app in which the actor 9 impersonates the user 1: the session of the former, and the
/// cookie of their browser.
pub async fn admin_acting_as_1() -> (Fixture, Session, (&'static str, String)) {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let admin = fixture.session(9).await;
    let app = app!(fixture, impersonate);
    let reply = send!(app, support::post("/impersonate/1").insert_header(cookie(&admin)));
    assert_eq!(reply.status, StatusCode::OK);
    let acting = as_set(&reply);
    fixture.store.forget();
    (fixture, admin, acting)
}

struct Database {
    pool: SqlitePool,
    auth: Auth<Account>,
}

/// Runs the verb of this name, for the user with this id.
#[post("/{verb}/{id}")]
#[with_session]
async fn verb(
    path: web::Path<(String, i64)>,
    database: web::Data<Database>,
    auth: Auth<Account>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    let (verb, id) = path.into_inner();
    let user = Account::of(id);
    match &*verb {
        "log_in" => drop(locals.log_in(&user).await?),
        "log_in_with" => {
            let options = LogInOptions::new().remember(false);
            drop(locals.log_in_with(&user, options).await?);
        }
        "clear_and_log_in" => {
            locals.clear_session();
            locals.log_in(&user).await?;
        }
        "create_session" => drop(locals.create_session(&user).await?),
        "auth_of_locals" => drop(locals.auth().create_session(&user).await?),
        "manager" => {
            let sessions = locals.auth().clone();
            drop(sessions.create_session(&user).await?);
        }
        "auth" => drop(auth.create_session(&user).await?),
        "another_clone" => drop(database.auth.create_session(&user).await?),
        "within" => {
            let mut transaction = database.pool.begin_with("BEGIN IMMEDIATE").await?;
            database.auth.within(&mut transaction)?.create_session(&user).await?;
            transaction.commit().await?;
        }
        "within_reauthenticate" => {
            let session = locals.get_session().await?.ok_or(Error::Unauthenticated)?;
            let mut transaction = database.pool.begin_with("BEGIN IMMEDIATE").await?;
            database.auth.within(&mut transaction)?.reauthenticate(&session).await?;
            transaction.commit().await?;
        }
        "reauthenticate" => drop(locals.reauthenticate().await?),
        "manager_reauthenticate" => {
            let session = locals.get_session().await?.ok_or(Error::Unauthenticated)?;
            auth.reauthenticate(&session).await?;
        }
        "impersonate" => drop(locals.impersonate(&user).await?),
        "renew" => {
            let session = locals.get_session().await?.ok_or(Error::Unauthenticated)?;
            auth.renew_session(&session).await?;
        }
        "log_out_other_sessions" => drop(locals.log_out_other_sessions().await?),
        "update_session" => locals.update_session(|cart: &mut Cart| cart.items.push(7)).await?,
        "set_session" => {
            let session = locals.get_session().await?.ok_or(Error::Unauthenticated)?;
            locals.set_session(session);
        }
        other => unreachable!("no verb {other}"),
    }
    Ok(SafeRedirect::default())
}

const REFUSED: [&str; 13] = [
    "log_in",
    "log_in_with",
    "clear_and_log_in",
    "create_session",
    "auth_of_locals",
    "manager",
    "auth",
    "another_clone",
    "within",
    "within_reauthenticate",
    "reauthenticate",
    "manager_reauthenticate",
    "impersonate",
];

const KEEPS_THE_ACTOR: [&str; 4] =
    ["renew", "log_out_other_sessions", "update_session", "set_session"];

fn database(fixture: &Fixture) -> web::Data<Database> {
    let store = SqlStore::<Sqlite, Account>::new(fixture.pool().clone());
    // The transaction must be on the store itself, and not on one around it.
    let auth = Auth::builder(store).clock(fixture.clock.clone()).build().unwrap();
    web::Data::new(Database { pool: fixture.pool().clone(), auth })
}

#[actix_web::test]
async fn every_verb_that_would_outlive_an_impersonation_is_refused_and_changes_nothing() {
    for name in REFUSED {
        for user in [1, 9] {
            let (fixture, admin, acting) = admin_acting_as_1().await;
            let app = app!(fixture; database(&fixture), me, verb);
            let request = support::post(&format!("/{name}/{user}")).insert_header(acting.clone());
            let reply = send!(app, request);
            let expected = problem(403, "impersonating", "Not allowed while impersonating");
            assert_eq!(reply.body, expected, "{name} {user}");
            assert!(reply.sets_no_cookie() || name == "clear_and_log_in", "{name}: {reply:?}");
            assert_eq!(fixture.rows().await, 2, "{name} {user}");
            let shown = send!(app, support::post("/me").insert_header(acting));
            assert_eq!(shown.body, "1 by Some(\"9\")", "{name}");
            assert!(fixture.row(&admin).await.is_some(), "{name}");
        }
    }
}

#[actix_web::test]
async fn every_other_verb_keeps_the_actor_and_is_no_authentication() {
    for name in KEEPS_THE_ACTOR {
        let (fixture, admin, acting) = admin_acting_as_1().await;
        let app = app!(fixture; database(&fixture), me, verb);
        let request = support::post(&format!("/{name}/1")).insert_header(acting.clone());
        let reply = send!(app, request);
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{name}: {reply:?}");
        for session in fixture.auth.user_sessions(1).await.unwrap() {
            assert!(session.actor.is_some(), "{name}");
        }
        // It still ends with the session from which it was begun.
        fixture.auth.invalidate_session(admin.id()).await.unwrap();
        let cookie = if reply.sets_no_cookie() { acting } else { as_set(&reply) };
        let shown = send!(app, support::post("/me").insert_header(cookie));
        assert_eq!(shown.status, StatusCode::UNAUTHORIZED, "{name}");
    }
}

#[actix_web::test]
async fn without_an_impersonation_no_verb_is_refused() {
    for name in REFUSED.into_iter().filter(|name| *name != "impersonate") {
        let fixture = Fixture::new().await;
        let own = fixture.session(1).await;
        let app = app!(fixture; database(&fixture), verb);
        let request = support::post(&format!("/{name}/1")).insert_header(cookie(&own));
        assert_eq!(send!(app, request).status, StatusCode::SEE_OTHER, "{name}");
    }
}

#[actix_web::test]
async fn an_impersonation_refuses_these_verbs_within_the_same_request() {
    #[post("/both")]
    #[require_user]
    async fn both(auth: Auth<Account>, locals: Locals) -> Result<&'static str, Error> {
        locals.impersonate(&Account::of(1)).await?;
        auth.create_session(&Account::of(1)).await?;
        Ok("")
    }
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let admin = fixture.session(9).await;
    let reply = send!(app!(fixture, both), support::post("/both").insert_header(cookie(&admin)));
    assert!(reply.body.contains("impersonating"), "{reply:?}");
}

#[actix_web::test]
async fn clearing_the_cookie_and_logging_out_everywhere_ends_the_impersonation_too() {
    #[post("/both")]
    #[require_user]
    async fn both(auth: Auth<Account>, locals: Locals) -> Result<&'static str, Error> {
        locals.clear_session();
        locals.log_out_everywhere().await?;
        auth.create_session(&Account::of(1)).await?;
        Ok("")
    }
    let (fixture, admin, acting) = admin_acting_as_1().await;
    let app = app!(fixture, both, me);
    let reply = send!(app, support::post("/both").insert_header(acting.clone()));
    assert_eq!(reply.status, StatusCode::OK);
    let shown = send!(app, support::post("/me").insert_header(acting));
    assert_eq!(shown.status, StatusCode::UNAUTHORIZED);
    assert!(fixture.row(&admin).await.is_none());
}

#[actix_web::test]
async fn a_handler_of_another_auth_does_not_hide_the_actor() {
    #[post("/inner")]
    #[with_session]
    async fn inner(database: web::Data<Database>) -> Result<&'static str, Error> {
        database.auth.create_session(&Account::of(1)).await?;
        Ok("")
    }
    let (fixture, _, acting) = admin_acting_as_1().await;
    let database = database(&fixture);
    let other = Fixture::new().await;
    let app = actix_web::test::init_service(
        actix_web::App::new().app_data(database).service(
            web::scope("")
                .wrap(fixture.auth.require_user())
                .configure(other.auth.configure())
                .service(inner),
        ),
    )
    .await;
    let reply = send!(app, support::post("/inner").insert_header(acting));
    assert!(reply.body.contains("impersonating"), "{reply:?}");
}

#[actix_web::test]
async fn a_login_is_allowed_after_stopping_or_logging_out() {
    #[post("/stop-and-in")]
    #[require_user]
    async fn stop(locals: Locals) -> Result<&'static str, Error> {
        locals.stop_impersonating().await?;
        locals.reauthenticate().await?;
        Ok("")
    }
    #[post("/out-and-in")]
    #[require_user]
    async fn out(locals: Locals) -> Result<&'static str, Error> {
        locals.log_out().await?;
        locals.log_in(&Account::of(9)).await?;
        Ok("")
    }
    for path in ["/stop-and-in", "/out-and-in"] {
        let (fixture, _, acting) = admin_acting_as_1().await;
        let app = app!(fixture, stop, out, me);
        let reply = send!(app, support::post(path).insert_header(acting));
        assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
        let shown = send!(app, support::post("/me").insert_header(as_set(&reply)));
        assert_eq!(shown.body, "9 by None", "{path}");
    }
}
