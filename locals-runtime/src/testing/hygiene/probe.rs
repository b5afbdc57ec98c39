//! `Probe`: a request that the examination sends repeatedly.

use actix_web::{
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};
use serde::Serialize;
use serde_json::Value;

/// A request to the app, for [`Hygiene`](super::Hygiene): its method, path, headers and body.
///
/// It is sent as from a page of the app, with `Sec-Fetch-Site: same-origin`.
///
/// ```
/// use locals::testing::Probe;
///
/// let by_form = Probe::post("/login").form([("email", "ada@example.com"), ("password", "x")]);
/// let by_json = Probe::put("/api/session").json(("ada", "x")).header("X-Api-Version", "2");
/// ```
#[derive(Debug, Clone)]
pub struct Probe {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Nothing,
    Form(Vec<(String, String)>),
    Json(Value),
}

impl Probe {
    /// Returns a request with this method and path. The path may have a query.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Body::Nothing }
    }

    /// Returns a GET request for this path.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Returns a POST request for this path.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Returns a PUT request for this path.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Returns a DELETE request for this path.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Sends a form with these fields.
    pub fn form<N: Into<String>, V: Into<String>>(
        self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { body: Body::Form(fields.collect()), ..self }
    }

    /// Sends JSON.
    ///
    /// # Panics
    /// If `data` cannot be written as JSON.
    pub fn json(self, data: impl Serialize) -> Self {
        let data = serde_json::to_value(data).expect("the JSON of a `Probe` can be written");
        Self { body: Body::Json(data), ..self }
    }

    /// Adds a header, such as a token that the app requires.
    ///
    /// # Panics
    /// If the name or the value is not valid in a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("a header of a `Probe` has a valid name");
        let value = value.parse().expect("a header of a `Probe` has a valid value");
        self.headers.push((name, value));
        self
    }

    /// Returns the same request with `next` in its query.
    pub(super) fn with_next_in_query(&self, next: &str) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}{}", self.path, encoded([("next", next)]));
        Self { path, ..self.clone() }
    }

    /// Returns the same request with `next` in its body; `None` if the body has no fields.
    pub(super) fn with_next_in_body(&self, next: &str) -> Option<Self> {
        let mut probe = self.clone();
        match &mut probe.body {
            Body::Form(fields) => {
                fields.retain(|(name, _)| name != "next");
                fields.push(("next".to_owned(), next.to_owned()));
            }
            Body::Json(Value::Object(fields)) => {
                fields.insert("next".to_owned(), next.into());
            }
            Body::Nothing | Body::Json(_) => return None,
        }
        Some(probe)
    }
}

impl Body {
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Nothing => None,
            Self::Form(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                Some(encoded(fields).into())
            }
            Self::Json(value) => Some(value.to_string().into()),
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Form(_) => "application/x-www-form-urlencoded",
            Self::Nothing | Self::Json(_) => "application/json",
        }
    }
}

fn encoded<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
