//! The client of a request: its browser, its address, and the page to return to.

use std::net::IpAddr;

use actix_web::http::header::USER_AGENT;

use crate::{http::redirect::SafeRedirect, request::locals::Locals, sessions::creation::Client};

/// The maximum length of a stored `User-Agent` header, in characters.
const USER_AGENT_CHARS: usize = 255;

impl Locals {
    /// Redirects to the page that the user wanted before they were sent to log in: the `next` of
    /// this request's query if it is a path of this app, otherwise `/`. Return it from the handler.
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

    /// Returns the network address of the client, for rate limits and the app's own log. This is
    /// the address of the peer, or the one that a [trusted
    /// proxy](crate::AuthBuilder::trusted_proxy) reports. `None` if the peer has no address, as on
    /// a Unix socket.
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
