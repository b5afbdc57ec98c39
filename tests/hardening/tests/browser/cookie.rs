//! The life of the cookie in the browser's jar.

use serde_json::json;

use crate::{browser::in_browser, site::APP};

#[actix_web::test]
async fn a_login_sets_a_cookie_that_is_sent_back_and_a_logout_leaves_none() {
    in_browser(async |browser| {
        browser.open(APP, "/page?tab=2").await;
        browser.arrives("/login?next=%2Fpage%3Ftab%3D2").await;
        browser.fill_in(1).await;
        browser.arrives("/page?tab=2").await;

        let cookies = browser.client.get_all_cookies().await.unwrap();
        let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
        assert_eq!(cookie.name(), "__Host-session");
        assert_eq!((cookie.domain(), cookie.path()), (Some(APP), Some("/")));
        assert_eq!((cookie.secure(), cookie.http_only()), (Some(true), Some(true)));
        assert_eq!(cookie.same_site().unwrap().to_string(), "Lax");
        assert!(cookie.expires_datetime().is_some(), "remembered");
        assert_eq!(browser.script("return document.cookie").await, json!(""));

        assert!(browser.read("/page").await.starts_with("name-1\n"));
        browser.log_out().await;
        assert!(browser.client.get_all_cookies().await.unwrap().is_empty());
        assert_eq!(browser.read("/public").await, "nobody");
    })
    .await;
}

#[actix_web::test]
async fn a_session_that_is_not_remembered_is_a_cookie_without_expiry() {
    in_browser(async |browser| {
        browser.open(APP, "/blank").await;
        browser.async_script("await fetch('/login-briefly', { method: 'POST' })").await;
        let cookie = browser.client.get_named_cookie("__Host-session").await.unwrap();
        assert_eq!(cookie.expires_datetime(), None);
        assert_eq!(browser.read("/public").await, "name-1");
    })
    .await;
}

/// Chromium forgets what it has in memory of a page that must not be stored, once a cookie changes.
#[actix_web::test]
async fn going_back_after_a_logout_does_not_show_the_page() {
    in_browser(async |browser| {
        for (path, way_back) in [("/page", "%2Fpage"), ("/private", "%2Fprivate")] {
            browser.log_in(1).await;
            assert!(browser.read(path).await.starts_with("name-1\n"));
            browser.log_out().await;
            browser.client.back().await.unwrap();
            browser.arrives(&format!("/login?next={way_back}")).await;
        }
    })
    .await;
}

/// No cookie changes here: without the script, Chromium shows the page from memory.
#[actix_web::test]
async fn the_script_of_the_guide_asks_again_when_the_session_has_ended_elsewhere() {
    in_browser(async |browser| {
        browser.log_in(1).await;
        assert!(browser.read("/private").await.starts_with("name-1\n"));
        browser.open(APP, "/blank").await;
        assert_eq!(browser.site.auth.invalidate_user_sessions(1).await.unwrap(), 1);
        browser.client.back().await.unwrap();
        browser.arrives("/login?next=%2Fprivate").await;
    })
    .await;
}
