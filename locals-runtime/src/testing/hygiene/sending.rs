//! A single request of the examination.

use std::{cell::Cell, rc::Rc, task::Poll};

use actix_http::Request;
use actix_web::{dev::Payload, http::header::CONTENT_TYPE, test::TestRequest, web::Bytes};
use futures_util::stream;

use super::Probe;

/// Parts and their size: 3 MiB in total, more than the default limits of Actix for JSON and forms.
const FLOOD: (usize, usize) = (48, 64 * 1_024);

/// A request, and how it differs from a request of a page of the app without cookies.
pub(super) struct Sending<'a> {
    probe: &'a Probe,
    cookie: Option<&'a str>,
    is_cross_site: bool,
    /// Sends a large body that is neither JSON nor a form instead of the probe's own.
    is_flood: bool,
    /// How the report describes the difference.
    with: &'a str,
}

impl<'a> Sending<'a> {
    pub(super) fn of(probe: &'a Probe) -> Self {
        Self { probe, cookie: None, is_cross_site: false, is_flood: false, with: "" }
    }

    pub(super) fn with(self, cookie: &'a str, with: &'a str) -> Self {
        Self { cookie: Some(cookie), with, ..self }
    }

    pub(super) fn without_cookie(self) -> Self {
        Self { with: " without a cookie", ..self }
    }

    pub(super) fn flooded(self) -> Self {
        Self { is_flood: true, with: " without a cookie, and with 3 MiB of invalid JSON", ..self }
    }

    pub(super) fn cross_site(self) -> Self {
        Self { is_cross_site: true, ..self }
    }

    pub(super) fn sent(&self) -> String {
        let site = if self.is_cross_site { " from a page of another site" } else { "" };
        let Probe { method, path, .. } = self.probe;
        format!("`{method} {path}`{}{site}", self.with)
    }

    fn head(&self, cookie_name: &str) -> TestRequest {
        let probe = self.probe;
        let mut request = TestRequest::default().method(probe.method.clone()).uri(&probe.path);
        for (name, value) in &probe.headers {
            request = request.append_header((name.clone(), value.clone()));
        }
        if let Some(cookie) = self.cookie {
            request = request.append_header(("Cookie", format!("{cookie_name}={cookie}")));
        }
        if self.is_cross_site {
            let origin = ("Origin", "https://evil.example");
            return request.insert_header(("Sec-Fetch-Site", "cross-site")).insert_header(origin);
        }
        request.insert_header(("Sec-Fetch-Site", "same-origin"))
    }

    fn body(&self) -> Vec<Bytes> {
        if self.is_flood {
            return vec![Bytes::from(vec![b'{'; FLOOD.1]); FLOOD.0];
        }
        self.probe.body.bytes().into_iter().collect()
    }

    /// Returns the request, and a flag that is set when the app reads its body.
    pub(super) fn request(&self, cookie_name: &str) -> (Request, Rc<Cell<bool>>) {
        let mut request = self.head(cookie_name);
        let body = self.body();
        if !body.is_empty() {
            request = request.insert_header((CONTENT_TYPE, self.probe.body.content_type()));
        }
        let has_read = Rc::new(Cell::new(false));
        let payload = watched(body, Rc::clone(&has_read));
        (request.to_request().replace_payload(payload).0, has_read)
    }
}

/// A body that sets a flag when it is read.
fn watched(body: Vec<Bytes>, has_read: Rc<Cell<bool>>) -> Payload {
    let mut parts = body.into_iter();
    let parts = stream::poll_fn(move |_| {
        has_read.set(true);
        Poll::Ready(parts.next().map(Ok))
    });
    Payload::Stream { payload: Box::pin(parts) }
}
