//! A request that the examination sends, again and again.

use actix_web::{
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};
use serde::Serialize;
use serde_json::Value;

/// A request of the app, as [`Hygiene`](super::Hygiene) is told of it: its method and path, and
/// what it sends.
///
/// The requests come as from a page of the app, with `Sec-Fetch-Site: same-origin`.
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

/// What a request sends.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Nothing,
    Form(Vec<(String, String)>),
    Json(Value),
}

impl Probe {
    /// A request of this method for this path, which may have a query.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Body::Nothing }
    }

    /// A GET of this path.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A POST to this path.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A PUT to this path.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// A DELETE of this path.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Sends the fields of a form.
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

    /// Sends a header too, such as a token that the app demands.
    ///
    /// # Panics
    /// If it is no header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("the name of a header of a `Probe` is one");
        let value = value.parse().expect("the value of a header of a `Probe` is one");
        self.headers.push((name, value));
        self
    }

    /// The same with `next` in its query.
    pub(super) fn with_next_in_query(&self, next: &str) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}{}", self.path, encoded([("next", next)]));
        Self { path, ..self.clone() }
    }

    /// The same with `next` among what it sends; `None` if there is no place for it.
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
