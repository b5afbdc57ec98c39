//! Verbs that come after the headers of the response have been made: they change nothing, and say so.

use std::sync::{Arc, Mutex};

use actix_web::{HttpResponse, http::StatusCode, post, web};
use futures_util::stream::once;
use locals::{Error, Locals, LogInOptions, Session, with_session};

use crate::{
    app, send,
    support::{self, Account, Cart, Fixture, cookie},
};

const REFUSED: [&str; 11] = [
    "log_in",
    "log_out",
    "log_out_everywhere",
    "log_out_other_sessions",
    "end_session",
    "reauthenticate",
    "impersonate",
    "stop_impersonating",
    "update_guest",
    "forget_guest",
    "log_in_with",
];

async fn run(verb: &str, locals: &Locals, own: Session) -> Result<(), Error> {
    match verb {
        "log_in" => locals.log_in(&Account::of(1)).await.map(drop),
        "log_in_with" => {
            locals.log_in_with(&Account::of(1), LogInOptions::default()).await.map(drop)
        }
        "log_out" => locals.log_out().await,
        "log_out_everywhere" => locals.log_out_everywhere().await.map(drop),
        "log_out_other_sessions" => locals.log_out_other_sessions().await.map(drop),
        "end_session" => locals.end_session(own.id()).await.map(drop),
        "reauthenticate" => locals.reauthenticate().await.map(drop),
        "impersonate" => locals.impersonate(&Account::of(2)).await.map(drop),
        "stop_impersonating" => locals.stop_impersonating().await.map(drop),
        "update_guest" => locals.update_guest(|cart: &mut Cart| cart.items.push(7)).await,
        "forget_guest" => locals.forget_guest().await,
        "update_session" => locals.update_session(|cart: &mut Cart| cart.items.push(7)).await,
        "set_session" => {
            locals.set_session(own);
            Ok(())
        }
        "clear_session" => {
            locals.clear_session();
            Ok(())
        }
        other => unreachable!("no verb {other}"),
    }
}

/// Calls the verb while the body is sent.
#[post("/{verb}")]
#[with_session]
async fn streamed(
    verb: web::Path<String>,
    answered: web::Data<Holder>,
    locals: Locals,
) -> Result<HttpResponse, Error> {
    let own = locals.get_session().await?.ok_or(Error::Unauthenticated)?;
    let answered = answered.0.clone();
    let body = once(async move {
        let result = run(&verb, &locals, own).await;
        answered.lock().unwrap().replace(result.map_err(|error| error.to_string()));
        Ok::<_, Error>(web::Bytes::from_static(b"sent"))
    });
    Ok(HttpResponse::Ok().streaming(body))
}

/// What the verb has answered.
#[derive(Default)]
struct Holder(Arc<Mutex<Option<Result<(), String>>>>);

#[actix_web::test]
async fn a_verb_that_needs_a_cookie_is_refused_before_the_store_is_touched() {
    for verb in REFUSED {
        let fixture = Fixture::new().await;
        fixture.account(2).await;
        let session = fixture.session(1).await;
        let data = web::Data::new(Holder::default());
        let app = app!(fixture; data, streamed);
        let reply = send!(app, support::post(&format!("/{verb}")).insert_header(cookie(&session)));
        assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "sent"), "{verb}");
        let answered = data.0.lock().unwrap().take().unwrap();
        let complaint = answered.expect_err(verb);
        assert!(complaint.contains("after the response headers had been built"), "{complaint}");
        assert_eq!(fixture.store.writes(), 0, "{verb}");
        assert!(fixture.row(&session).await.is_some(), "{verb}");
    }
}

#[actix_web::test]
async fn verbs_that_need_no_cookie_still_work_and_infallible_ones_change_no_cookie() {
    for verb in ["update_session", "set_session", "clear_session"] {
        let fixture = Fixture::new().await;
        let session = fixture.session(1).await;
        let data = web::Data::new(Holder::default());
        let app = app!(fixture; data, streamed);
        let reply = send!(app, support::post(&format!("/{verb}")).insert_header(cookie(&session)));
        assert!(reply.sets_no_cookie(), "{verb}");
        assert_eq!(data.0.lock().unwrap().take().unwrap(), Ok(()), "{verb}");
    }
}
