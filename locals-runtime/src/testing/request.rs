//! What a test request is given, so that it comes from a browser of the app.

use actix_web::{cookie::Cookie, test::TestRequest};

use super::{jar::Jar, session::TestSession};

/// Requests of logged-in users, for [`TestRequest`]. Both methods say what a page of the app would
/// say of itself, `Sec-Fetch-Site: same-origin`, so that no check of the origin stands in the way.
/// A test of that check sets the header once more, after them.
///
/// Cookies given by [`TestRequest::cookie`] stay. A `Cookie` header written by hand does not:
/// [`TestRequest`] replaces it as soon as it knows a cookie.
pub trait TestRequestExt: Sized + sealed::Sealed {
    /// Sends the request as the user of this session, with its cookie.
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
        from_a_page(self).cookie(Cookie::new(name, token.to_owned()))
    }

    fn cookies_of(self, jar: &Jar) -> Self {
        jar.cookies().fold(from_a_page(self), |request, cookie| {
            request.cookie(Cookie::new(cookie.name().to_owned(), cookie.value().to_owned()))
        })
    }
}

fn from_a_page(request: TestRequest) -> TestRequest {
    request.insert_header(("Sec-Fetch-Site", "same-origin"))
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for actix_web::test::TestRequest {}
}
