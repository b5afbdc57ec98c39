//! Cookies that somebody else sets for the app, with the token of a session of their own.

use serde_json::Value;

use crate::{
    browser::{Browser, in_browser},
    site::{APP, SIBLING},
};

const PREFIXED: &str = "__Host-session=TOKEN; Path=/; Secure";

/// What Chromium does not keep: its prefix says that this host has set the cookie, over HTTPS.
const REFUSED: [(&str, &str); 12] = [
    (SIBLING, "__Host-session=TOKEN; Path=/; Secure; Domain=app.localhost"),
    (SIBLING, "__Host-session=TOKEN; Path=/; Domain=app.localhost"),
    (SIBLING, "__Host-session=TOKEN; Domain=app.localhost"),
    (SIBLING, "__host-session=TOKEN; Path=/; Secure; Domain=app.localhost"),
    (SIBLING, "__Host-session =TOKEN; Path=/; Secure; Domain=app.localhost"),
    (SIBLING, "\t__Host-session\t=TOKEN; Path=/; Secure; Domain=app.localhost"),
    (SIBLING, "=__Host-session=TOKEN; Path=/; Secure; Domain=app.localhost"),
    (SIBLING, "= __Host-session=TOKEN; Path=/; Secure; Domain=app.localhost"),
    (SIBLING, "__Host-session; Path=/; Secure; Domain=app.localhost"),
    (APP, "__Host-session=TOKEN; Path=/"),
    (APP, "__Host-session=TOKEN; Path=/public; Secure"),
    (APP, "__Host-session=TOKEN; Path=/; Secure; Domain=app.localhost"),
];

/// What may reach the app, by a name that somebody might take for `__Host-session`.
const LOOK_ALIKE: [&str; 12] = [
    "__%48ost-session=TOKEN",
    "%5F%5FHost-session=TOKEN",
    "__Host-session%20=TOKEN",
    "\u{2000}__Host-session=TOKEN",
    "\u{a0}__Host-session=TOKEN",
    "\u{85}__Host-session=TOKEN",
    "\u{3000}__Host-session\u{3000}=TOKEN",
    ",__Host-session=TOKEN",
    "\"\"__Host-session=TOKEN",
    "a=\",__Host-session=TOKEN",
    "session=TOKEN",
    "x=\u{fffd}__Host-session=TOKEN",
];

#[actix_web::test]
async fn a_cookie_set_by_another_site_neither_opens_nor_disturbs_a_session() {
    in_browser(async |browser| {
        let attacker = token_of_another(browser).await;
        let look_alikes = LOOK_ALIKE.map(|pair| format!("{pair}; Path=/; Secure; Domain={APP}"));
        let look_alikes = look_alikes.iter().map(|cookie| (SIBLING, cookie.as_str()));
        let cookies: Vec<_> = REFUSED.into_iter().chain(look_alikes).collect();

        for (number, (host, cookie)) in cookies.iter().enumerate() {
            toss(browser, host, &cookie.replace("TOKEN", &attacker)).await;
            let path = format!("/public?tossed={number}");
            assert_eq!(browser.read(&path).await, "nobody", "{cookie}");
            let seen = browser.site.seen(&path).await;
            assert!(!seen.has_session(), "Chromium sends {cookie}: {seen:?}");
        }
        let arrived = browser.site.seen(&format!("/public?tossed={}", cookies.len() - 1)).await;
        let arrived = arrived.cookies.matches(&attacker).count();
        assert!(arrived > LOOK_ALIKE.len() / 2, "only {arrived} attacks are any");

        browser.log_in(1).await;
        for (host, cookie) in &cookies {
            toss(browser, host, &cookie.replace("TOKEN", &attacker)).await;
            assert_eq!(browser.read("/public").await, "name-1", "{cookie}");
        }
    })
    .await;
}

#[actix_web::test]
async fn a_script_can_neither_read_nor_replace_nor_remove_the_cookie() {
    in_browser(async |browser| {
        let attacker = token_of_another(browser).await;
        browser.log_in(1).await;
        for cookie in [PREFIXED, "__Host-session=; Path=/; Secure; Max-Age=0"] {
            let cookie = cookie.replace("TOKEN", &attacker);
            browser.script(&format!("document.cookie = '{cookie}'")).await;
            assert_eq!(browser.script("return document.cookie").await, Value::from(""));
            assert_eq!(browser.read("/public").await, "name-1", "{cookie}");
        }
        let store = format!(
            "return await cookieStore.set({{ name: '__Host-session', value: '{attacker}' }})\
             .then(() => 'set', () => 'refused')"
        );
        browser.async_script(&store).await;
        assert_eq!(browser.async_script("return (await cookieStore.getAll()).length").await, 0);
        assert_eq!(browser.read("/public").await, "name-1");
    })
    .await;
}

/// A valid token of user 2, and a browser that has forgotten it. It works, where it is given as the
/// app's own cookie.
async fn token_of_another(browser: &Browser) -> String {
    browser.log_in(2).await;
    let cookie = browser.client.get_named_cookie("__Host-session").await.unwrap();
    browser.client.delete_all_cookies().await.unwrap();
    assert_eq!(browser.read("/public").await, "nobody");
    toss(browser, APP, &PREFIXED.replace("TOKEN", cookie.value())).await;
    assert_eq!(browser.read("/public").await, "name-2");
    browser.client.delete_all_cookies().await.unwrap();
    cookie.value().to_owned()
}

async fn toss(browser: &Browser, host: &str, cookie: &str) {
    let bytes: Vec<_> = cookie.bytes().map(|byte| format!("%{byte:02X}")).collect();
    browser.open(host, &format!("/toss?cookie={}", bytes.concat())).await;
}
