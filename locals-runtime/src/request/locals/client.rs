//! Who sends the request: browser, address, and the page it came from.

use std::net::IpAddr;

use actix_web::http::header::USER_AGENT;

use crate::{http::redirect::SafeRedirect, request::locals::Locals, sessions::creation::Client};

/// How much of a `User-Agent` header is kept, in characters.
const USER_AGENT_CHARS: usize = 255;

impl Locals {
    /// Where the browser wanted to go before it was sent to log in: the `next` of this request's
    /// query, if it is a path of this app, and `/` otherwise. Return it, and the browser goes there.
    ///
    /// ```
    /// # use actix_web::{Responder, post};
    /// # use locals::{AuthUser, Error, Locals, with_session};
    /// # #[derive(Clone, AuthUser)]
    /// # struct Account { id: i64 }
    /// # async fn verify() -> Account { Account { id: 1 } }
    /// #[post("/login")]
    /// #[with_session]
    /// async fn login(locals: Locals) -> Result<impl Responder, Error> {
    ///     locals.log_in(&verify().await).await?;
    ///     Ok(locals.return_to())
    /// }
    /// ```
    pub fn return_to(&self) -> SafeRedirect {
        SafeRedirect::from_query(self.request.query_string())
    }

    /// The network address of the client, for limits on tries and the app's own log. That is the
    /// peer, or whom a [trusted proxy](crate::AuthBuilder::trusted_proxy) has named. `None` where the
    /// peer has no address, as on a Unix socket.
    pub fn client_address(&self) -> Option<IpAddr> {
        let peer = self.request.peer_addr().map(|address| address.ip());
        self.request_session.auth.proxies().client(peer, self.request.headers())
    }

    pub(crate) fn client(&self) -> Client {
        let user_agent = self.request.headers().get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().take(USER_AGENT_CHARS).collect()
        });
        let address = self.client_address().map(|address| address.to_string());
        Client { user_agent, address }
    }
}
