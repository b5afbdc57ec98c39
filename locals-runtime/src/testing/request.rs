//! `TestRequestExt`: test requests that come from a browser of the app.

use actix_web::{cookie::Cookie, test::TestRequest};

use super::{jar::Jar, session::TestSession};

/// Makes a [`TestRequest`] one of a logged-in user.
///
/// Both methods also set `Sec-Fetch-Site: same-origin`, as for a request from a page of the app, so
/// that it passes the check of the origin. To test that check, set the header again after them.
///
/// Cookies set by [`TestRequest::cookie`] stay. A `Cookie` header that was set directly does not:
/// [`TestRequest`] replaces it once it has a cookie.
pub trait TestRequestExt: Sized + sealed::Sealed {
    /// Sends the request with the cookie of this session.
    ///
    /// ```
    /// use actix_web::test::TestRequest;
    /// use locals::testing::*;
    ///
    /// # fn example(session: TestSession) {
    /// let request = TestRequest::delete().uri("/orders/7").logged_in(&session).to_request();
    /// # }
    /// ```
    fn logged_in(self, session: &TestSession) -> Self;

    /// Sends the request with the cookies of a jar.
    ///
    /// ```
    /// use actix_web::test::TestRequest;
    /// use locals::testing::*;
    ///
    /// # fn example(jar: Jar) {
    /// let request = TestRequest::get().uri("/me").cookies_of(&jar).to_request();
    /// # }
    /// ```
    fn cookies_of(self, jar: &Jar) -> Self;
}

impl TestRequestExt for TestRequest {
    fn logged_in(self, session: &TestSession) -> Self {
        let (name, token) = (session.cookie_name().to_owned(), session.token().expose_secret());
        with_same_origin(self).cookie(Cookie::new(name, token.to_owned()))
    }

    fn cookies_of(self, jar: &Jar) -> Self {
        jar.cookies().fold(with_same_origin(self), |request, cookie| {
            request.cookie(Cookie::new(cookie.name().to_owned(), cookie.value().to_owned()))
        })
    }
}

fn with_same_origin(request: TestRequest) -> TestRequest {
    request.insert_header(("Sec-Fetch-Site", "same-origin"))
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for actix_web::test::TestRequest {}
}
