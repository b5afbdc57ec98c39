//! The whole way, and what an attacker may make of it.

use futures_util::future::join;
use reqwest::StatusCode;

use crate::site::{ADA, CANCEL, GRACE, Site, Visitor, parameter, program, with_parameter};

const ADAS: &str = "Ada has account 1.";

/// An answer of the provider that the app does not accept: it says so, and nobody is logged in.
async fn is_refused(visitor: &Visitor<'_>, callback: &str, status: StatusCode, says: &str) {
    let page = visitor.get(callback).await;
    assert_eq!(page.status, status, "{callback}: {page:?}");
    assert!(page.text.contains(says) && page.text.contains("href=/login"), "{page:?}");
    assert_eq!(visitor.account().await, None, "{callback}");
}

async fn was_not_begun(visitor: &Visitor<'_>, callback: &str) {
    is_refused(visitor, callback, StatusCode::BAD_REQUEST, "not begun in this browser").await;
}

async fn is_not_confirmed(visitor: &Visitor<'_>, callback: &str) {
    is_refused(visitor, callback, StatusCode::BAD_GATEWAY, "does not confirm").await;
}

#[actix_web::test]
async fn a_visitor_logs_in_at_the_provider_and_comes_back_to_the_page_they_wanted() {
    let site = Site::alone();
    let ada = site.visitor();
    let form = ada.get(&site.url("/login?next=%2Fme")).await;
    assert!(form.text.contains("<form method=post>"), "{form:?}");
    let at_provider = ada.begins("/login?next=%2Fme").await;
    let page = ada.get(&at_provider).await;
    assert!(page.text.contains("<button name=person value=0>I am Ada"), "{page:?}");
    let done = ada.get(&ada.presses(&at_provider, ADA).await).await;
    assert_eq!((done.status, done.leads_to.as_str()), (StatusCode::SEE_OTHER, "/me"));
    assert_eq!(ada.account().await.unwrap(), ADAS);
    assert_eq!(ada.post(&site.url("/logout"), &[]).await.leads_to, "/");
    assert_eq!(ada.account().await, None);
}

#[actix_web::test]
async fn a_log_in_leads_to_no_other_host() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let at_provider = ada.begins("/login?next=%2F%2Fevil.example").await;
    assert_eq!(ada.get(&ada.presses(&at_provider, ADA).await).await.leads_to, "/");
}

#[actix_web::test]
async fn a_second_log_in_finds_the_same_account() {
    let (site, _provider) = Site::with_provider();
    site.visitor().logs_in(GRACE).await;
    for visitor in [site.visitor(), site.visitor()] {
        visitor.logs_in(ADA).await;
        assert_eq!(visitor.account().await.unwrap(), "Ada has account 2.");
    }
}

#[actix_web::test]
async fn people_who_name_the_same_unverified_address_have_accounts_of_their_own() {
    let (site, _provider) = Site::with_provider();
    let (ada, grace) = (site.visitor(), site.visitor());
    ada.logs_in(ADA).await;
    grace.logs_in(GRACE).await;
    assert_eq!(ada.account().await.unwrap(), ADAS);
    assert_eq!(grace.account().await.unwrap(), "Grace has account 2.");
}

#[actix_web::test]
async fn a_wrong_or_missing_state_is_refused_and_disturbs_nothing() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let callback = ada.is_sent_back(ADA).await;
    for state in [None, Some(""), Some("wrong")] {
        was_not_begun(&ada, &with_parameter(&callback, "state", state)).await;
    }
    let twice = ada.get(&format!("{callback}&state=wrong")).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    ada.get(&callback).await;
    assert_eq!(ada.account().await.unwrap(), ADAS);
}

#[actix_web::test]
async fn nobody_is_logged_in_by_a_log_in_that_somebody_else_has_begun() {
    let (site, _provider) = Site::with_provider();
    let (attacker, stranger, victim) = (site.visitor(), site.visitor(), site.visitor());
    let own = victim.is_sent_back(ADA).await;
    let attackers = attacker.is_sent_back(GRACE).await;
    was_not_begun(&stranger, &attackers).await;
    was_not_begun(&victim, &attackers).await;
    victim.get(&own).await;
    assert_eq!(victim.account().await.unwrap(), ADAS);
    attacker.get(&attackers).await;
    assert_eq!(attacker.account().await.unwrap(), "Grace has account 2.");
}

#[actix_web::test]
async fn an_answer_of_the_provider_counts_once() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let callback = ada.is_sent_back(ADA).await;
    let (first, second) = join(ada.get(&callback), ada.get(&callback)).await;
    let mut answers = [first.status, second.status];
    answers.sort();
    assert_eq!(answers, [StatusCode::SEE_OTHER, StatusCode::BAD_REQUEST]);
    ada.post(&site.url("/logout"), &[]).await;
    was_not_begun(&ada, &callback).await;
}

#[actix_web::test]
async fn a_code_that_was_used_or_is_of_another_log_in_is_not_confirmed() {
    let (site, _provider) = Site::with_provider();
    let (ada, attacker) = (site.visitor(), site.visitor());
    let used = ada.is_sent_back(ADA).await;
    ada.get(&used).await;
    let unused = site.visitor().is_sent_back(ADA).await;
    for adas in [used, unused] {
        // The attacker's own state, and a code that leads to Ada: only PKCE tells.
        let own = attacker.is_sent_back(GRACE).await;
        let code = parameter(&adas, "code");
        is_not_confirmed(&attacker, &with_parameter(&own, "code", Some(&code))).await;
    }
}

#[actix_web::test]
async fn who_cancels_at_the_provider_is_told_that_they_are_not_logged_in() {
    let (site, _provider) = Site::with_provider();
    let ada = site.visitor();
    let callback = ada.is_sent_back(CANCEL).await;
    assert_eq!(parameter(&callback, "error"), "access_denied");
    was_not_begun(&site.visitor(), &callback).await;
    is_refused(&ada, &callback, StatusCode::FORBIDDEN, "has not logged you in").await;
    ada.logs_in(ADA).await;
    assert_eq!(ada.account().await.unwrap(), ADAS);
}

#[actix_web::test]
async fn a_provider_that_is_down_is_502_and_the_app_goes_on() {
    let (site, provider) = Site::with_provider();
    let (ada, grace) = (site.visitor(), site.visitor());
    grace.logs_in(GRACE).await;
    let callback = ada.is_sent_back(ADA).await;
    provider.stop().await;
    is_not_confirmed(&ada, &callback).await;
    assert_eq!(grace.account().await.unwrap(), "Grace has account 1.");
}

#[test]
fn a_setting_that_is_missing_is_named_at_the_start() {
    let ended = program().env("OAUTH_CLIENT_ID", "app").output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("OAUTH_CLIENT_SECRET is not set"), "{said}");
}
