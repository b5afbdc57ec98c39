//! The provider refuses what a provider must refuse: without that the other tests would show little.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use reqwest::{Client, StatusCode, header::LOCATION};
use sha2::{Digest, Sha256};

use crate::site::{client, parameter, with_parameter};

const REDIRECT_URL: &str = "http://app.example/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";

/// A provider, and an app that asks it.
struct Asking {
    _provider: Provider,
    authorize: String,
    token: String,
    client: Client,
}

impl Asking {
    fn start() -> Self {
        let provider = Provider::start(REDIRECT_URL).unwrap();
        let [_, _, (_, authorize), (_, token), _] = provider.environment();
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let authorize = format!(
            "{authorize}?response_type=code&client_id={CLIENT_ID}&redirect_uri={REDIRECT_URL}\
             &state=s&code_challenge={challenge}&code_challenge_method=S256"
        );
        Self { _provider: provider, authorize, token, client: client() }
    }

    async fn code(&self) -> String {
        let pressed = self.client.post(&self.authorize).form(&[("person", "0")]);
        let answer = pressed.send().await.unwrap();
        parameter(answer.headers()[LOCATION].to_str().unwrap(), "code")
    }

    /// Exchanges a code, with this difference from what is right.
    async fn exchange(&self, code: &str, other: (&str, &str)) -> (StatusCode, String) {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URL),
            ("code_verifier", VERIFIER),
        ];
        form.retain(|(name, _)| *name != other.0);
        let secret = if other.0 == "secret" { other.1 } else { CLIENT_SECRET };
        if other.0 != "secret" && !other.0.is_empty() {
            form.push(other);
        }
        let request = self.client.post(&self.token).basic_auth(CLIENT_ID, Some(secret));
        let answer = request.form(&form).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

#[actix_web::test]
async fn a_code_counts_once() {
    let app = Asking::start();
    let code = app.code().await;
    assert_eq!(app.exchange(&code, ("", "")).await.0, StatusCode::OK);
    let (status, text) = app.exchange(&code, ("", "")).await;
    assert_eq!((status, text.as_str()), (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#));
}

#[actix_web::test]
async fn a_code_is_worth_nothing_without_what_it_was_given_for() {
    let app = Asking::start();
    for other in [
        ("code_verifier", "another-verifier-of-forty-three-characters-"),
        ("redirect_uri", "http://evil.example/callback"),
        ("grant_type", "password"),
        ("code", "unknown"),
    ] {
        let (status, text) = app.exchange(&app.code().await, other).await;
        let expected = (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#);
        assert_eq!((status, text.as_str()), expected, "{other:?}");
    }
}

#[actix_web::test]
async fn an_app_without_its_secret_gets_no_token() {
    let app = Asking::start();
    let code = app.code().await;
    assert_eq!(app.exchange(&code, ("secret", "wrong")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.exchange(&code, ("", "")).await.0, StatusCode::OK, "the code was not touched");
}

#[actix_web::test]
async fn the_browser_is_sent_to_no_address_but_the_one_of_the_app() {
    let app = Asking::start();
    assert_eq!(app.client.get(&app.authorize).send().await.unwrap().status(), StatusCode::OK);
    for (name, value) in [
        ("redirect_uri", "http://evil.example/callback"),
        ("redirect_uri", "http://app.example/callback/"),
        ("client_id", "other"),
        ("response_type", "token"),
        ("code_challenge_method", "plain"),
    ] {
        let url = with_parameter(&app.authorize, name, Some(value));
        let pressed = app.client.post(&url).form(&[("person", "0")]);
        for request in [app.client.get(&url), pressed] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{url}");
            assert!(!answer.headers().contains_key(LOCATION), "{url}");
        }
    }
}
