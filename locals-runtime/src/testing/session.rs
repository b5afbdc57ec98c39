//! `TestSession`: a session of a user who has not logged in by the app's login.

use std::{fmt::Display, future::Future, ops::Deref, panic::Location};

use crate::{
    model::{
        error::{Error, chain},
        user::AuthUser,
        user_id::UserKey,
    },
    request::auth::Auth,
    sessions::session::Session,
};

/// A session for tests, with the name of its cookie. Made by [`Auth::test_session`];
/// [`logged_in`](super::TestRequestExt::logged_in) adds it to a request.
///
/// It derefs to its [`Session`].
#[derive(Debug, Clone)]
pub struct TestSession {
    session: Session,
    cookie_name: String,
}

impl TestSession {
    /// Returns the name of the session cookie, as the app has configured it.
    pub fn cookie_name(&self) -> &str {
        &self.cookie_name
    }
}

impl Deref for TestSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl<T: AuthUser> Auth<T> {
    /// Creates a session of a user, for tests (feature `testing`).
    ///
    /// `user` may be any [`AuthUser`] of the app's table, and must be in the store already.
    ///
    /// ```
    /// use actix_web::test::TestRequest;
    /// use locals::{Auth, AuthUser, store::MemoryStore, testing::*};
    ///
    /// #[derive(Clone, AuthUser)]
    /// struct Account { id: i64 }
    ///
    /// # actix_web::rt::System::new().block_on(async {
    /// let store = MemoryStore::new();
    /// store.insert_user(Account { id: 7 });
    /// let auth = Auth::<Account>::builder(store).build()?;
    ///
    /// let session = auth.test_session(&Account { id: 7 }).await;
    /// let request = TestRequest::get().uri("/me").logged_in(&session).to_request();
    /// # Ok::<(), locals::ConfigError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    /// If the store fails, if it has no such user, or if `user` is from another table. The message
    /// says which, and names the calling line.
    #[track_caller]
    pub fn test_session<U: AuthUser>(&self, user: &U) -> impl Future<Output = TestSession> {
        let caller = Location::caller();
        async move {
            match self.try_test_session(user).await {
                Ok(session) => session,
                Err(reason) => panic!("no `test_session` at {caller}: {reason}"),
            }
        }
    }

    async fn try_test_session<U: AuthUser>(&self, user: &U) -> Result<TestSession, String> {
        let session = self.create_session(user).await.map_err(|error| match error {
            Error::UserGone => no_such_user(user.id().to_user_id()),
            error => chain(&error),
        })?;
        let opened = self.validate_session_user(session.token().expose_secret()).await;
        if opened.map_err(|error| chain(&error))?.is_none() {
            return Err(no_such_user(session.user_id()));
        }
        Ok(TestSession { session, cookie_name: self.cookie().name().to_owned() })
    }
}

fn no_such_user(user: impl Display) -> String {
    format!(
        "there is no session, because the store has no user {user}; add the user first, with \
         `MemoryStore::insert_user` or as the app does"
    )
}
