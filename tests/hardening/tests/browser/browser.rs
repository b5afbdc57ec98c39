//! Chromium at the app.

use std::{ops::Deref, path::Path};

use programs::keeping_pictures;

use crate::site::{APP, Site};

pub struct Browser {
    browser: programs::Browser,
    pub site: Site,
}

impl Deref for Browser {
    type Target = programs::Browser;

    fn deref(&self) -> &programs::Browser {
        &self.browser
    }
}

/// Runs a test in a new browser at a new app.
pub async fn in_browser<T: AsyncFnOnce(&Browser)>(test: T) {
    let browser = Browser { site: Site::start().await, browser: programs::Browser::start().await };
    keeping_pictures(&[&browser], Path::new(env!("CARGO_TARGET_TMPDIR")), test(&browser)).await;
}

impl Browser {
    /// Goes to an address as if somebody had typed it.
    pub async fn open(&self, host: &str, path: &str) {
        self.browser.open(&self.site.url(host, path)).await;
    }

    /// The text of a page of the app.
    pub async fn read(&self, path: &str) -> String {
        self.open(APP, path).await;
        self.text().await
    }

    /// Waits until a page of the app is open.
    pub async fn arrives(&self, path: &str) {
        self.browser.arrives(&self.site.url(APP, path)).await;
    }

    /// Logs in by the form of the page that is open.
    pub async fn fill_in(&self, user: i64) {
        self.type_in("input[name=user]", &user.to_string()).await;
        self.click("#login").await;
    }

    /// Logs out by the button of the page that is open.
    pub async fn log_out(&self) {
        self.click("#logout").await;
        self.arrives("/logout").await;
        assert_eq!(self.text().await, "out");
    }

    /// Logs in by the app's form.
    pub async fn log_in(&self, user: i64) {
        self.open(APP, "/login").await;
        self.fill_in(user).await;
        self.arrives("/page").await;
    }

    /// How many session cookies the jar holds for the page that is open.
    pub async fn session_cookies(&self) -> usize {
        let cookies = self.client.get_all_cookies().await.unwrap();
        cookies.iter().filter(|cookie| cookie.name() == "__Host-session").count()
    }
}
