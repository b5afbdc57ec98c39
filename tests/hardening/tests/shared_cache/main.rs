//! A cache that many share in front of the app: nginx and Varnish, set up by somebody who thought of
//! speed alone. They store answers of every status and with cookies in them, also to posts, and obey
//! `Cache-Control` and `Vary`, which is all that keeps them from mixing up visitors.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod cache;
mod site;
mod visitor;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use cache::{Cache, nginx, varnish};
use site::{Headers, Site};
use visitor::Visitor;

type Start = fn(SocketAddr) -> Cache;

/// How often the visitors alternate on each route.
const ROUNDS: usize = 1_000;

/// Reading, as each visitor in turn. `HEAD` is answered as `GET` is.
const READING: [&str; 8] = [
    "GET /public",
    "GET /me",
    "GET /page",
    "GET /login?next=/page",
    "GET /sessions",
    "GET /notes",
    "GET /cacheable",
    "HEAD /cacheable?head",
];

/// Changing, in this order, so that each user goes from login to logout: what a user is answered,
/// and a stranger.
const CHANGING: [(&str, u16, u16); 9] = [
    ("POST /login", 303, 200),
    ("POST /reauthenticate", 200, 401),
    ("POST /logout-others", 200, 401),
    ("POST /notes/7", 200, 401),
    ("DELETE /sessions/AAAAAAAAAAAAAAAAAAAAAA", 404, 401),
    ("POST /fail-after-log-in", 500, 500),
    ("POST /logout", 200, 200),
    ("POST /login?again", 303, 200),
    ("POST /logout-everywhere", 200, 401),
];

/// Two users and a stranger; the lengths of what they see differ too, for `HEAD`.
async fn visitors(site: &Site) -> [Visitor; 3] {
    let mut visitors = [Visitor::user(10), Visitor::user(100), Visitor::stranger()];
    for visitor in &mut visitors[..2] {
        visitor.ask(site.address, "POST /login").await;
        visitor.ask(site.address, &format!("POST /notes/{}", visitor.user)).await;
    }
    visitors
}

/// The routes where somebody was answered with what is not theirs, when they read.
async fn mixed_up_reading(site: &Site, cache: &Cache, rounds: usize) -> BTreeSet<&'static str> {
    let mut visitors = visitors(site).await;
    let mut mixed_up = BTreeSet::new();
    for route in READING {
        let mut own = Vec::new();
        for visitor in &mut visitors {
            own.push(visitor.ask(site.address, &route.replace("HEAD", "GET")).await.seen());
        }
        for _ in 0..rounds {
            for (visitor, own) in visitors.iter_mut().zip(&own) {
                let answer = visitor.ask(cache.address, route).await;
                let is_own = if route.starts_with("HEAD") {
                    (answer.status, answer.length, answer.token) == (own.0, Some(own.1.len()), None)
                } else {
                    answer.token.is_none() && answer.seen() == *own
                };
                if !is_own {
                    mixed_up.insert(route);
                }
            }
        }
    }
    mixed_up
}

/// The routes where somebody got the answer of somebody else, or a cookie that is not theirs alone,
/// when they changed something.
async fn mixed_up_changing(site: &Site, cache: &Cache, rounds: usize) -> BTreeSet<&'static str> {
    let mut visitors = [Visitor::user(10), Visitor::user(100), Visitor::stranger()];
    let (mut issued, mut mixed_up) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..rounds {
        for (route, of_user, of_stranger) in CHANGING {
            for visitor in &mut visitors {
                let answer = visitor.ask(cache.address, route).await;
                let status = if visitor.is_stranger() { of_stranger } else { of_user };
                let token = answer.token.filter(|token| !token.is_empty());
                let is_new = token.is_none_or(|token| issued.insert(token));
                let is_own = !route.starts_with("POST /login")
                    || visitor.ask(site.address, "GET /public").await.body == visitor.name();
                if answer.is_stored || answer.status != status || !is_new || !is_own {
                    mixed_up.insert(route);
                }
            }
        }
    }
    mixed_up
}

#[actix_web::test]
async fn nginx_never_serves_the_page_of_another_visitor() {
    let site = Site::start(Headers::Kept).await;
    let cache = nginx(site.address);
    assert_eq!(mixed_up_reading(&site, &cache, ROUNDS).await, BTreeSet::new());
}

#[actix_web::test]
async fn varnish_never_serves_the_page_of_another_visitor() {
    let site = Site::start(Headers::Kept).await;
    let cache = varnish(site.address);
    assert_eq!(mixed_up_reading(&site, &cache, ROUNDS).await, BTreeSet::new());
}

/// Varnish stores no answers to posts.
#[actix_web::test]
async fn nginx_never_sends_the_cookie_of_another_visitor() {
    let site = Site::start(Headers::Kept).await;
    let cache = nginx(site.address);
    assert_eq!(mixed_up_changing(&site, &cache, ROUNDS).await, BTreeSet::new());
}

#[actix_web::test]
async fn a_cache_would_mix_up_visitors_without_the_headers_of_the_library() {
    let site = Site::start(Headers::Stripped).await;
    for start in [nginx as Start, varnish] {
        let cache = start(site.address);
        assert_eq!(mixed_up_reading(&site, &cache, 2).await, BTreeSet::from(READING));
    }
    let mixed_up = mixed_up_changing(&site, &nginx(site.address), 2).await;
    assert!(mixed_up.is_superset(&BTreeSet::from(["POST /login", "POST /logout"])), "{mixed_up:?}");
}

#[actix_web::test]
async fn public_pages_are_cached_once_and_allowed_private_ones_once_per_visitor() {
    for start in [nginx as Start, varnish] {
        let site = Site::start(Headers::Kept).await;
        let cache = start(site.address);
        let mut visitors = visitors(&site).await;
        for (round, is_stored) in [false, true, true].into_iter().enumerate() {
            for (number, visitor) in visitors.iter_mut().enumerate() {
                let picture = visitor.ask(cache.address, "GET /picture").await;
                assert_eq!(picture.is_stored, (round, number) != (0, 0), "{picture:?}");
                let own = visitor.ask(cache.address, "GET /cacheable").await;
                assert_eq!((own.is_stored, &own.body), (is_stored, &visitor.name()), "{own:?}");
            }
        }
    }
}

#[actix_web::test]
async fn a_renewal_is_never_cached_even_if_its_handler_allows_it() {
    for start in [nginx as Start, varnish] {
        let site = Site::start(Headers::Kept).await;
        let cache = start(site.address);
        let mut visitors = visitors(&site).await;
        for round in 0..20 {
            // Past the active period.
            site.clock.advance(Duration::from_hours(25));
            let route = format!("GET /cacheable?round={round}");
            for (is_renewed, is_stored) in [(true, false), (false, false), (false, true)] {
                for visitor in &mut visitors {
                    let own = visitor.token.clone();
                    let answer = visitor.ask(cache.address, &route).await;
                    let is_renewed = is_renewed && own.is_some();
                    assert_eq!(answer.body, visitor.name(), "{answer:?}");
                    assert_eq!(answer.token, own.filter(|_| is_renewed));
                    let control = if is_renewed { "no-store" } else { "public, max-age=60" };
                    assert_eq!(answer.cache_control.as_deref(), Some(control), "{answer:?}");
                    if visitor.token.is_some() {
                        assert_eq!(answer.is_stored, is_stored, "{answer:?}");
                    }
                }
            }
        }
    }
}

#[actix_web::test]
async fn a_login_is_never_cached_whatever_its_handler_says() {
    for start in [nginx as Start, varnish] {
        let site = Site::start(Headers::Kept).await;
        let cache = start(site.address);
        let mut issued = BTreeSet::new();
        for _ in 0..3 {
            let answer = Visitor::stranger().ask(cache.address, "GET /enter").await;
            assert!(!answer.is_stored, "{answer:?}");
            assert!(issued.insert(answer.token.unwrap()));
        }
    }
}
