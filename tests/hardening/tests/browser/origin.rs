//! Who may do what from where: `Sec-Fetch-Site`, `Origin` and `SameSite=Lax` as Chromium has them.

use crate::{
    browser::{Browser, in_browser},
    site::{APP, EVIL, SIBLING, Site, TRUSTED},
};

/// Where a page stands that asks the app for something as user 1.
struct Place {
    /// The address of the page.
    page: fn(&Site) -> String,
    /// What Chromium says of it.
    site: &'static str,
    /// Whether the cookie goes along with whatever it asks for. With a link it always does.
    carries_cookie: bool,
    /// Whether it may change something.
    may_post: bool,
}

const PLACES: [Place; 5] = [
    Place {
        page: |site| site.url(APP, "/blank"),
        site: "same-origin",
        carries_cookie: true,
        may_post: true,
    },
    Place {
        page: |site| site.url_of_other_port(APP, "/blank"),
        site: "same-site",
        carries_cookie: true,
        may_post: false,
    },
    Place {
        page: |site| site.url(SIBLING, "/blank"),
        site: "same-site",
        carries_cookie: true,
        may_post: false,
    },
    Place {
        page: |site| site.url(TRUSTED, "/blank"),
        site: "same-site",
        carries_cookie: true,
        may_post: true,
    },
    Place {
        page: |site| site.url(EVIL, "/blank"),
        site: "cross-site",
        carries_cookie: false,
        may_post: false,
    },
];

/// Ways to ask for `URL`.
const READING: [&str; 4] = [
    "fetch('URL', { mode: 'no-cors', credentials: 'include' })",
    "new Image().src = 'URL'",
    "document.body.append(Object.assign(document.createElement('iframe'), { src: 'URL' }))",
    "document.body.append(Object.assign(document.createElement('script'), { src: 'URL' }))",
];

const FORM: &str = "document.body.append(Object.assign(document.createElement('form'), \
                    { method: 'post', action: 'URL' })); document.forms[0].submit()";

/// Ways to post to `URL`.
const POSTING: [&str; 3] = [
    "fetch('URL', { method: 'POST', mode: 'no-cors', credentials: 'include' })",
    "navigator.sendBeacon('URL', 'note')",
    FORM,
];

const LINK: &str = "document.body.append(Object.assign(document.createElement('a'), \
                    { href: 'URL', textContent: 'link', id: 'link' }))";

impl Browser {
    /// Runs a script in a place, with an address of the app that is asked for once.
    async fn run_in(&self, place: &Place, script: &str, url: &str) {
        self.client.goto(&(place.page)(&self.site)).await.unwrap();
        self.script(&script.replace("URL", &self.site.url(APP, url))).await;
    }
}

#[actix_web::test]
async fn navigations_arrive_logged_in_and_subresources_of_other_sites_do_not() {
    in_browser(async |browser| {
        browser.log_in(1).await;
        browser.open(APP, "/me?typed").await;
        let seen = browser.site.seen("/me?typed").await;
        assert_eq!((seen.sec_fetch_site.as_deref(), seen.status), (Some("none"), 200));
        for (number, place) in PLACES.iter().enumerate() {
            for (way, script) in READING.iter().enumerate() {
                let url = format!("/me?place={number}&way={way}");
                browser.run_in(place, script, &url).await;
                let seen = browser.site.seen(&url).await;
                assert_eq!(seen.sec_fetch_site.as_deref(), Some(place.site), "{seen:?}");
                let expected = (place.carries_cookie, if place.carries_cookie { 200 } else { 401 });
                assert_eq!((seen.has_session(), seen.status), expected, "{seen:?}");
            }
            let url = format!("/page?place={number}&link");
            browser.run_in(place, LINK, &url).await;
            browser.click("#link").await;
            let seen = browser.site.seen(&url).await;
            assert_eq!(seen.sec_fetch_site.as_deref(), Some(place.site), "{seen:?}");
            assert_eq!((seen.has_session(), seen.status), (true, 200), "{seen:?}");
        }
    })
    .await;
}

#[actix_web::test]
async fn only_pages_of_the_app_and_trusted_ones_can_change_anything() {
    in_browser(async |browser| {
        // Just logged in: a cookie that named no `SameSite` would go along for two minutes.
        browser.log_in(1).await;
        let mut noted = Vec::new();
        for (number, place) in PLACES.iter().enumerate() {
            for (way, script) in POSTING.iter().enumerate() {
                let note = 10 * number + way;
                let url = format!("/notes/{note}");
                browser.run_in(place, script, &url).await;
                let seen = browser.site.seen(&url).await;
                assert_eq!(seen.sec_fetch_site.as_deref(), Some(place.site), "{seen:?}");
                assert_eq!(seen.has_session(), place.carries_cookie, "{seen:?}");
                assert_eq!(seen.status, if place.may_post { 200 } else { 403 }, "{seen:?}");
                noted.extend(place.may_post.then_some(note));
            }
        }
        assert_eq!(
            browser.read("/notes").await,
            format!("{{\"notes\":{noted:?}}}").replace(' ', "")
        );
        assert_eq!(browser.read("/public").await, "name-1", "still logged in");
    })
    .await;
}

#[actix_web::test]
async fn a_page_without_an_origin_can_change_nothing() {
    in_browser(async |browser| {
        browser.log_in(1).await;
        browser.open(APP, "/blank").await;
        let posting = POSTING[0].replace("URL", &browser.site.url(APP, "/notes/1"));
        browser
            .script(&format!(
                "document.body.append(Object.assign(document.createElement('iframe'), {{ \
                 sandbox: 'allow-scripts', srcdoc: `<script>{posting}</script>` }}))"
            ))
            .await;
        let seen = browser.site.seen("/notes/1").await;
        assert_eq!((seen.sec_fetch_site.as_deref(), seen.status), (Some("cross-site"), 403));
        assert_eq!(browser.read("/notes").await, "{\"notes\":[]}");
    })
    .await;
}

#[actix_web::test]
async fn no_other_page_can_log_a_visitor_in_or_out() {
    in_browser(async |browser| {
        for (number, place) in PLACES.iter().filter(|place| !place.may_post).enumerate() {
            let url = format!("/login?place={number}");
            let script = FORM.replace(
                "document.forms[0].submit()",
                "document.forms[0].innerHTML = '<input name=user value=2>'; \
                 document.forms[0].submit()",
            );
            browser.run_in(place, &script, &url).await;
            assert_eq!(browser.site.seen(&url).await.status, 403);
            assert_eq!(browser.read("/public").await, "nobody");
            assert_eq!(browser.session_cookies().await, 0);
        }
        browser.log_in(1).await;
        for (number, place) in PLACES.iter().filter(|place| !place.may_post).enumerate() {
            let url = format!("/logout?place={number}");
            browser.run_in(place, FORM, &url).await;
            assert_eq!(browser.site.seen(&url).await.status, 403);
            assert_eq!(browser.read("/public").await, "name-1");
        }
    })
    .await;
}

/// Chromium says no `Sec-Fetch-Site` of a WebSocket: `Origin` decides.
#[actix_web::test]
async fn only_pages_of_the_app_and_trusted_ones_can_open_a_web_socket() {
    in_browser(async |browser| {
        browser.log_in(1).await;
        for (number, place) in PLACES.iter().enumerate() {
            let path = format!("/live?place={number}");
            browser.client.goto(&(place.page)(&browser.site)).await.unwrap();
            let url = browser.site.url(APP, &path).replace("http", "ws");
            let heard = browser
                .async_script(&format!(
                    "return await new Promise(heard => {{ const socket = new WebSocket('{url}'); \
                     socket.onmessage = message => heard(message.data); \
                     socket.onerror = () => heard('refused') }})"
                ))
                .await;
            assert_eq!(heard, if place.may_post { "name-1" } else { "refused" }, "{number}");
            let seen = browser.site.seen(&path).await;
            assert_eq!(seen.has_session(), place.carries_cookie, "{seen:?}");
            assert_eq!(seen.status, if place.may_post { 101 } else { 403 }, "{seen:?}");
        }
    })
    .await;
}
