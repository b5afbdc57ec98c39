//! The default response to an error, and its log entry.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};

use crate::model::{
    error::{Error, chain},
    events::Event,
};

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.problem().0
    }

    /// The response for programs: a problem document (RFC 9457) that does not name the cause. In a
    /// handler with an attribute, browsers get another one, see
    /// [`AuthBuilder::error_response`](crate::AuthBuilder::error_response).
    fn error_response(&self) -> HttpResponse {
        self.log();
        let (status, code, title) = self.problem();
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, self.retry_after()))
            }
            // RFC 9110 §15.5.2 asks for a challenge; no registered scheme names a cookie.
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Session"))
            }
            _ => &mut response,
        };
        response.content_type("application/problem+json").body(format!(
            r#"{{"type":"about:blank","status":{},"code":"{code}","title":"{title}"}}"#,
            status.as_u16()
        ))
    }
}

impl Error {
    /// Logs a fault. Refusals are logged with the request, see `ErrorResponder`.
    fn log(&self) {
        match self {
            Self::Store(error) => {
                let (cause, doing) = (&with_advice(error), "answering a request");
                Event::StoreFailed { cause, doing }.record();
            }
            Self::Query(error) => {
                Event::QueryFailed { cause: &with_advice(error.as_ref()) }.record();
            }
            // Logged once a minute, when the guests are counted.
            Self::TooManyGuests { .. } => {}
            Self::Random(error) | Self::UnwritableData(error) => {
                tracing::error!(cause = %chain(error.as_ref()), "{self}");
            }
            _ if self.is_refusal() => {}
            _ => tracing::error!("{self}"),
        }
    }
}

/// An error of a query in one line, for logs, with advice for the app.
fn with_advice(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = chain(error);
    #[cfg(feature = "sql")]
    {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        let advice =
            causes.find_map(|error| error.downcast_ref().and_then(crate::store::query_advice));
        if let Some(advice) = advice {
            return format!("{cause}; {advice}");
        }
    }
    cause
}
