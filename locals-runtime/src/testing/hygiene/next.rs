//! Tests whether `next` can lead to another host, wherever the app reads it from.

use actix_http::Request;
use actix_web::{
    body::MessageBody,
    dev::{Service, ServiceResponse},
};

use super::{
    Hygiene, Probe,
    destination::{Destination, HOSTILE},
    examination::{Examination, LoggedIn},
    judge::Reply,
    report::{Fault, Rule},
    sending::Sending,
};

/// A path that looks like one of the app, but to which no login redirects by itself.
const HARMLESS: &str = "/hygiene-check";

/// Where an app may read `next` from.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    /// The query of the login page, requested by a logged-in user.
    Page { page: &'a str, token: &'a str },
    /// The query of the login.
    Query,
    /// The form or JSON of the login.
    Body,
}

impl Place<'_> {
    fn in_words(self, hygiene: &Hygiene) -> String {
        let Probe { method, path, .. } = &hygiene.log_in;
        match self {
            Self::Page { page, .. } => format!("in the query of `GET {page}` with a session"),
            Self::Query => format!("in the query of `{method} {path}`"),
            Self::Body => format!("in the body of `{method} {path}`"),
        }
    }
}

impl<S, B> Examination<'_, S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    pub(super) async fn try_next(&mut self) {
        let Some(page) = self.hygiene.login_page.clone() else { return };
        let Some(LoggedIn { token, .. }) = self.log_in().await else { return };
        let mut is_followed = false;
        for place in [Place::Page { page: &page, token: &token }, Place::Query, Place::Body] {
            let Some(reply) = self.send_next(place, HARMLESS).await else { continue };
            if let Some(location) = reply.location().filter(|it| it.contains(HARMLESS)) {
                is_followed = true;
                self.try_hostile(place, &Destination::of(location)).await;
            }
        }
        if !is_followed {
            let sent = format!("`?next={HARMLESS}` to `{page}`, and with `Hygiene::log_in`");
            self.report.add(Fault::new(
                Rule::SetUp,
                sent,
                "no redirect to it",
                "follow `next`, with `locals.return_to()` or a `SafeRedirect`, or leave \
                 `Hygiene::login_page` out",
            ));
        }
    }

    /// Reports one fault for all values that lead to another host.
    async fn try_hostile(&mut self, place: Place<'_>, own: &Destination) {
        let mut followed = Vec::new();
        let mut first = None;
        for next in HOSTILE {
            let Some(reply) = self.send_next(place, next).await else { continue };
            let destination = reply.location().map_or(Destination::Here, Destination::of);
            if destination != Destination::Here && destination != *own {
                followed.push(format!("{next:?}"));
                first.get_or_insert(reply);
            }
        }
        let Some(reply) = first else { return };
        let location = reply.location().unwrap_or_default();
        let came = format!("{}, `Location: {location}` for the first of them", reply.status);
        let sent = format!("{} as `next` {}", followed.join(", "), place.in_words(&self.hygiene));
        let remedy = "follow `next` with `locals.return_to()`, or take it as a `SafeRedirect`";
        self.report.add(Fault::new(Rule::Next, sent, came, remedy));
    }

    /// Returns `None` if the request has no such place.
    async fn send_next(&mut self, place: Place<'_>, next: &str) -> Option<Reply> {
        let log_in = &self.hygiene.log_in;
        let probe = match place {
            Place::Page { page, .. } => Probe::get(page).with_next_in_query(next),
            Place::Query => log_in.with_next_in_query(next),
            Place::Body => log_in.with_next_in_body(next)?,
        };
        let sending = Sending::of(&probe);
        Some(match place {
            Place::Page { token, .. } => self.send(sending.with(token, " with a session")).await,
            Place::Query | Place::Body => self.send(sending).await,
        })
    }
}
