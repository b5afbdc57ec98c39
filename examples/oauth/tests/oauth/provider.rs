//! The provider refuses what a provider must refuse. Otherwise the other tests would prove little.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use reqwest::{Client, StatusCode, header::LOCATION};
use sha2::{Digest, Sha256};

use crate::site::{client, parameter, with_parameter};

const REDIRECT_URL: &str = "http://app.example/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";

/// A provider, and a client that sends it requests.
struct App {
    _provider: Provider,
    authorize: String,
    token: String,
    client: Client,
}

impl App {
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
        let response = pressed.send().await.unwrap();
        parameter(response.headers()[LOCATION].to_str().unwrap(), "code")
    }

    /// Exchanges a code, with one parameter replaced.
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
        let response = request.form(&form).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

#[actix_web::test]
async fn a_code_can_be_used_once() {
    let app = App::start();
    let code = app.code().await;
    assert_eq!(app.exchange(&code, ("", "")).await.0, StatusCode::OK);
    let (status, text) = app.exchange(&code, ("", "")).await;
    assert_eq!((status, text.as_str()), (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#));
}

#[actix_web::test]
async fn a_code_is_refused_if_a_parameter_does_not_match() {
    let app = App::start();
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
async fn an_app_with_a_wrong_secret_gets_no_token() {
    let app = App::start();
    let code = app.code().await;
    assert_eq!(app.exchange(&code, ("secret", "wrong")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(app.exchange(&code, ("", "")).await.0, StatusCode::OK, "the code is still valid");
}

#[actix_web::test]
async fn the_browser_is_only_redirected_to_the_redirect_url_of_the_app() {
    let app = App::start();
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
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{url}");
            assert!(!response.headers().contains_key(LOCATION), "{url}");
        }
    }
}
