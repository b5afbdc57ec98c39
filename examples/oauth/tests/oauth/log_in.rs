//! The whole login, and what an attacker might try.

use futures_util::future::join;
use reqwest::StatusCode;

use crate::site::{ADA, CANCEL, GRACE, Site, Visitor, parameter, program, with_parameter};

const ADAS_ACCOUNT: &str = "Logged in as Ada, account 1.";

/// The app refuses this callback with this status and text, and nobody is logged in.
async fn is_refused(visitor: &Visitor<'_>, callback: &str, status: StatusCode, says: &str) {
    let page = visitor.get(callback).await;
    assert_eq!(page.status, status, "{callback}: {page:?}");
    assert!(page.text.contains(says) && page.text.contains("href=/login"), "{page:?}");
    assert_eq!(visitor.account().await, None, "{callback}");
}

async fn was_not_started(visitor: &Visitor<'_>, callback: &str) {
    is_refused(visitor, callback, StatusCode::BAD_REQUEST, "not started in this browser").await;
}

async fn was_rejected(visitor: &Visitor<'_>, callback: &str) {
    is_refused(visitor, callback, StatusCode::BAD_GATEWAY, "rejected this login").await;
}

#[actix_web::test]
async fn a_visitor_logs_in_at_the_provider_and_returns_to_the_requested_page() {
    let site = Site::with_own_provider();
    let ada = site.visitor();
    let form = ada.get(&site.url("/login?next=%2Fme")).await;
    assert!(form.text.contains("<form method=post>"), "{form:?}");
    let at_provider = ada.start_login("/login?next=%2Fme").await;
    let page = ada.get(&at_provider).await;
    assert!(page.text.contains("<button name=person value=0>Continue as Ada"), "{page:?}");
    let done = ada.get(&ada.choose(&at_provider, ADA).await).await;
    assert_eq!((done.status, done.location.as_str()), (StatusCode::SEE_OTHER, "/me"));
    assert_eq!(ada.account().await.unwrap(), ADAS_ACCOUNT);
    assert_eq!(ada.post(&site.url("/logout"), &[]).await.location, "/");
    assert_eq!(ada.account().await, None);
}

#[actix_web::test]
async fn a_login_does_not_redirect_to_another_host() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let at_provider = ada.start_login("/login?next=%2F%2Fevil.example").await;
    assert_eq!(ada.get(&ada.choose(&at_provider, ADA).await).await.location, "/");
}

#[actix_web::test]
async fn a_second_login_finds_the_same_account() {
    let (site, _provider) = Site::with_provider();
    site.visitor().log_in(GRACE).await;
    for visitor in [site.visitor(), site.visitor()] {
        visitor.log_in(ADA).await;
        assert_eq!(visitor.account().await.unwrap(), "Logged in as Ada, account 2.");
    }
}

#[actix_web::test]
async fn people_with_the_same_unverified_address_have_separate_accounts() {
    let (site, _provider) = Site::with_provider();
    let (ada, grace) = (site.visitor(), site.visitor());
    ada.log_in(ADA).await;
    grace.log_in(GRACE).await;
    assert_eq!(ada.account().await.unwrap(), ADAS_ACCOUNT);
    assert_eq!(grace.account().await.unwrap(), "Logged in as Grace, account 2.");
}

#[actix_web::test]
async fn a_wrong_or_missing_state_is_refused_and_the_login_can_still_be_finished() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let callback = ada.callback(ADA).await;
    for state in [None, Some(""), Some("wrong")] {
        was_not_started(&ada, &with_parameter(&callback, "state", state)).await;
    }
    let twice = ada.get(&format!("{callback}&state=wrong")).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    ada.get(&callback).await;
    assert_eq!(ada.account().await.unwrap(), ADAS_ACCOUNT);
}

#[actix_web::test]
async fn a_login_that_somebody_else_has_started_is_refused() {
    let (site, _provider) = Site::with_provider();
    let (attacker, visitor, victim) = (site.visitor(), site.visitor(), site.visitor());
    let own = victim.callback(ADA).await;
    let attackers = attacker.callback(GRACE).await;
    was_not_started(&visitor, &attackers).await;
    was_not_started(&victim, &attackers).await;
    victim.get(&own).await;
    assert_eq!(victim.account().await.unwrap(), ADAS_ACCOUNT);
    attacker.get(&attackers).await;
    assert_eq!(attacker.account().await.unwrap(), "Logged in as Grace, account 2.");
}

#[actix_web::test]
async fn a_callback_can_be_used_once() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let callback = ada.callback(ADA).await;
    let (first, second) = join(ada.get(&callback), ada.get(&callback)).await;
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::BAD_REQUEST]);
    ada.post(&site.url("/logout"), &[]).await;
    was_not_started(&ada, &callback).await;
}

#[actix_web::test]
async fn a_code_that_was_used_or_belongs_to_another_login_is_rejected() {
    let (site, _provider) = Site::with_provider();
    let (ada, attacker) = (site.visitor(), site.visitor());
    let used = ada.callback(ADA).await;
    ada.get(&used).await;
    let unused = site.visitor().callback(ADA).await;
    for adas in [used, unused] {
        // The attacker's own `state` with a code for Ada: only PKCE detects this.
        let own = attacker.callback(GRACE).await;
        let code = parameter(&adas, "code");
        was_rejected(&attacker, &with_parameter(&own, "code", Some(&code))).await;
    }
}

#[actix_web::test]
async fn canceling_at_the_provider_shows_an_error() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let callback = ada.callback(CANCEL).await;
    assert_eq!(parameter(&callback, "error"), "access_denied");
    was_not_started(&site.visitor(), &callback).await;
    is_refused(&ada, &callback, StatusCode::FORBIDDEN, "did not log you in").await;
    ada.log_in(ADA).await;
    assert_eq!(ada.account().await.unwrap(), ADAS_ACCOUNT);
}

#[actix_web::test]
async fn if_the_provider_is_down_logins_fail_with_502_and_sessions_stay_valid() {
    let (site, provider) = Site::with_provider();
    let (ada, grace) = (site.visitor(), site.visitor());
    grace.log_in(GRACE).await;
    let callback = ada.callback(ADA).await;
    provider.stop().await;
    was_rejected(&ada, &callback).await;
    assert_eq!(grace.account().await.unwrap(), "Logged in as Grace, account 1.");
}

#[test]
fn a_missing_setting_is_reported_at_startup() {
    let output = program().env("OAUTH_CLIENT_ID", "app").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("OAUTH_CLIENT_SECRET is not set"),
        "{error}"
    );
}
