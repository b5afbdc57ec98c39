//! What a request presents besides the one session that it may have: several tokens at once.
//!
//! A browser does that when the scope of the cookie has changed between two versions of an app. Of
//! several tokens none opens anything. But whoever has a token may end its session, and the response
//! that writes the cookie removes it in the other scopes: the browser is left with one or none.

use actix_web::{
    HttpRequest,
    http::header::{COOKIE, HeaderMap, HeaderName},
};
use tokio::sync::OnceCell;

use crate::{
    cookie::{Holder, Presented, SessionCookie},
    error::{Error, StoreError, chain},
    events::Event,
    locals::Locals,
    resolution::{Carrier, host},
    session::Session,
    token::{SessionId, SessionToken},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The different tokens of a request that presents several.
#[derive(Default)]
pub(crate) struct Conflicting {
    tokens: Vec<SessionToken>,
    found: OnceCell<Found>,
}

/// What they open, each for itself.
#[derive(Default)]
struct Found {
    sessions: Vec<Session>,
    /// Those that they could end although they open none, see [`Resolved`](crate::resolution::Resolved).
    closed: Vec<SessionId>,
    /// There is a row among theirs that cannot be read.
    unreadable: bool,
}

impl Conflicting {
    pub(crate) fn read(
        cookie: &SessionCookie,
        headers: &HeaderMap,
        presented: &Presented,
        carrier: Carrier,
    ) -> Self {
        match (carrier, presented) {
            (Carrier::Cookie, Presented::Conflicting) => Self::of(cookie.read_all(headers).tokens),
            _ => Self::default(),
        }
    }

    /// The same for those inside, who ask again.
    pub(crate) fn again(&self) -> Self {
        Self::of(self.tokens.clone())
    }

    fn of(tokens: Vec<SessionToken>) -> Self {
        Self { tokens, found: OnceCell::new() }
    }
}

/// What a request tells of the cookies that its browser holds, for a response that is made when the
/// request is gone.
pub(crate) struct RequestHead {
    /// Those that matter.
    headers: HeaderMap,
    host: Option<String>,
    path: String,
}

impl RequestHead {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let mut headers = HeaderMap::new();
        for name in [COOKIE, SEC_FETCH_SITE] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let host = host(request).map(str::to_owned);
        Self { headers, host, path: request.path().to_owned() }
    }

    pub(crate) fn is_cross_site(&self) -> bool {
        self.headers.get(SEC_FETCH_SITE).is_some_and(|site| site.as_bytes() == b"cross-site")
    }

    pub(crate) fn holder(&self, may_withhold: bool) -> Holder<'_> {
        let host = self.host.as_deref();
        Holder { headers: &self.headers, host, path: &self.path, may_withhold }
    }
}

impl Locals {
    /// The living sessions that a request with several tokens could end, each by its own token.
    pub(crate) async fn conflicting_sessions(&self) -> Result<&[Session], Error> {
        Ok(&self.conflicting().await?.sessions)
    }

    /// Whether one of them is there and cannot be read.
    pub(crate) async fn has_unreadable_conflict(&self) -> Result<bool, Error> {
        Ok(self.conflicting().await?.unreadable)
    }

    /// Those that could end although none of the tokens opens them.
    pub(crate) async fn closed_conflicts(&self) -> Result<&[SessionId], Error> {
        Ok(&self.conflicting().await?.closed)
    }

    async fn conflicting(&self) -> Result<&Found, Error> {
        let Conflicting { tokens, found } = &self.resolution.conflicting;
        let find = || async {
            let mut found = Found::default();
            for token in tokens {
                let admitted = match self.auth().look_up(token.id()).await {
                    Ok(Some(it)) => {
                        let closed = self.auth().closed(&it, token);
                        let admitted = self.auth().admit(it, token).await;
                        if matches!(admitted, Ok(None)) {
                            found.closed.extend(closed);
                        }
                        admitted
                    }
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                };
                match admitted {
                    Ok(admitted) => found.sessions.extend(admitted.map(|it| it.session)),
                    Err(StoreError::Corrupt(cause)) => {
                        Event::RowUnreadable { cause: &cause }.record();
                        found.unreadable = true;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(found)
        };
        // In a box: this future is large, and hardly ever needed.
        Box::pin(found.get_or_try_init(find)).await
    }

    /// Ends the guests of a request that presents several: it is not known which of them is the visitor's.
    pub(crate) async fn end_conflicting_guests(&self) -> Result<(), Error> {
        let (cookie, headers) = (self.resolution.auth.guest_cookie(), self.request.headers());
        let is_conflicting = self.resolution.carrier == Carrier::Cookie
            && cookie.read(headers) == Presented::Conflicting;
        if !is_conflicting {
            return Ok(());
        }
        for token in cookie.read_all(headers).tokens {
            for id in self.find_guest(&token).await?.rows() {
                self.auth().delete_guest(id).await?;
            }
        }
        Ok(())
    }

    /// The same where a new guest has been written already: what stays ends by its time.
    pub(crate) async fn tidy_up_conflicting_guests(&self) {
        if let Err(error) = self.end_conflicting_guests().await {
            let cause = &chain(&error);
            Event::StoreFailed { cause, doing: "ending the guests of several cookies" }.record();
        }
    }
}

/// Sessions, each after the one from which it is an impersonation.
pub(crate) fn with_actors<'a>(sessions: impl IntoIterator<Item = &'a Session>) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for session in sessions {
        for id in session.record.actor_session.into_iter().chain([session.id()]) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}
