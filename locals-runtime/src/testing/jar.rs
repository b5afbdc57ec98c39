//! `Jar`: the cookies that responses have set.

use actix_web::{
    body::MessageBody,
    cookie::{
        Cookie,
        time::{Duration, OffsetDateTime},
    },
    dev::ServiceResponse,
    http::header::{HeaderMap, SET_COOKIE},
};

/// Keeps the cookies that an app sets, as a browser does between requests. Use it in tests that log
/// in by the app's own login.
///
/// It stands for one browser on one site. It handles removals, and ignores paths, domains and
/// lifetimes.
///
/// ```
/// use actix_web::{App, Responder, post, test::{TestRequest, call_service, init_service}};
/// use locals::{Auth, AuthUser, Error, Locals, store::MemoryStore, testing::*, with_session};
///
/// #[derive(Clone, AuthUser)]
/// struct Account { id: i64 }
///
/// #[post("/login")]
/// #[with_session]
/// async fn login(locals: Locals) -> Result<&'static str, Error> {
///     locals.log_in(&Account { id: 7 }).await?;
///     Ok("Welcome")
/// }
///
/// #[post("/logout")]
/// #[with_session]
/// async fn logout(locals: Locals) -> Result<&'static str, Error> {
///     locals.log_out().await?;
///     Ok("Goodbye")
/// }
///
/// # actix_web::rt::System::new().block_on(async {
/// let store = MemoryStore::new();
/// store.insert_user(Account { id: 7 });
/// let auth = Auth::<Account>::builder(store).build()?;
/// let app = App::new().configure(auth.configure()).service(login).service(logout);
/// let app = init_service(app).await;
///
/// let mut jar = Jar::new();
/// for path in ["/login", "/logout"] {
///     let request = TestRequest::post().uri(path).cookies_of(&jar).to_request();
///     jar.keep(&call_service(&app, request).await);
///     assert_eq!(jar.get("__Host-session").is_some(), path == "/login");
/// }
/// # Ok::<(), locals::ConfigError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Jar(Vec<Cookie<'static>>);

impl Jar {
    /// Returns an empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the cookies of a response: those that it sets, and those that it removes. Like
    /// browsers, it ignores `Set-Cookie` headers that contain no valid cookie.
    pub fn keep<B: MessageBody>(&mut self, response: &ServiceResponse<B>) {
        for cookie in cookies(response.headers()) {
            self.0.retain(|kept| kept.name() != cookie.name());
            if !is_removal(&cookie) {
                self.0.push(cookie);
            }
        }
    }

    /// Returns the value of the cookie with this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.cookies().find(|cookie| cookie.name() == name).map(Cookie::value)
    }

    pub(super) fn cookies(&self) -> impl Iterator<Item = &Cookie<'static>> {
        self.0.iter()
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'static>> {
    let texts = headers.get_all(SET_COOKIE).filter_map(|header| header.to_str().ok());
    texts.filter_map(|text| Cookie::parse_encoded(text.to_owned()).ok())
}

/// Whether this cookie makes a browser delete it (RFC 6265bis §5.6: `Max-Age` takes precedence).
pub(super) fn is_removal(cookie: &Cookie<'_>) -> bool {
    match cookie.max_age() {
        Some(age) => age <= Duration::ZERO,
        None => {
            cookie.expires_datetime().is_some_and(|expires| expires <= OffsetDateTime::now_utc())
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{HttpResponse, test::TestRequest};

    use super::*;

    fn jar(responses: &[&[&str]]) -> Jar {
        let mut jar = Jar::new();
        for cookies in responses {
            let mut response = HttpResponse::Ok();
            for cookie in *cookies {
                response.append_header(("Set-Cookie", *cookie));
            }
            jar.keep(&TestRequest::default().to_srv_response(response.finish()));
        }
        jar
    }

    #[test]
    fn a_later_cookie_replaces_an_earlier_one_of_the_same_name() {
        let jar = jar(&[&["a=1; Path=/", "b=2"], &["a=3"]]);
        assert_eq!((jar.get("a"), jar.get("b"), jar.get("c")), (Some("3"), Some("2"), None));
        assert_eq!(jar.cookies().count(), 2);
    }

    #[test]
    fn a_removed_cookie_is_deleted() {
        for removal in [
            "a=; Max-Age=0",
            "a=x; Max-Age=-1",
            "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=; Max-Age=0; Expires=Thu, 01 Jan 2093 00:00:00 GMT",
        ] {
            assert_eq!(jar(&[&["a=1"], &[removal]]).get("a"), None, "{removal}");
        }
    }

    #[test]
    fn a_cookie_that_has_not_expired_is_kept() {
        for cookie in [
            "a=1",
            "a=1; Max-Age=60",
            "a=1; Expires=Thu, 01 Jan 2093 00:00:00 GMT",
            "a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ] {
            assert_eq!(jar(&[&[cookie]]).get("a"), Some("1"), "{cookie}");
        }
    }

    #[test]
    fn an_invalid_cookie_is_ignored() {
        assert_eq!(jar(&[&["", "=1", "a"]]).cookies().count(), 0);
    }
}
