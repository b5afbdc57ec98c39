//! Sessions in Redis, users in SQLite.

use std::{env, process::Command};

use sqlx::{Connection, SqliteConnection};

use crate::{Example, submit};

/// The keys of one test on the running server, deleted together with this value.
struct Keys {
    url: String,
    prefix: String,
}

impl Keys {
    fn new() -> Self {
        let url = env::var("LOCALS_TEST_REDIS_URL");
        let url = url.unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
        let keys = Self { url, prefix: format!("locals-test-{}:", uuid::Uuid::new_v4().simple()) };
        keys.all();
        keys
    }

    fn cli(&self, command: &[&str]) -> String {
        let answer = Command::new("redis-cli").args(["-u", &self.url]).args(command).output();
        let answer = answer.expect("redis-cli (Debian: `apt-get install redis`)");
        assert!(
            answer.status.success(),
            "no Redis at {}: start one, for example with `docker compose up redis`, or set another in \
             LOCALS_TEST_REDIS_URL: {answer:?}",
            self.url
        );
        String::from_utf8(answer.stdout).unwrap()
    }

    fn all(&self) -> Vec<String> {
        let all = self.cli(&["--scan", "--pattern", &format!("{}*", self.prefix)]);
        all.lines().map(str::to_owned).collect()
    }

    fn app(&self) -> Example {
        let settings = [("REDIS_URL", self.url.clone()), ("REDIS_PREFIX", self.prefix.clone())];
        Example::with("redis", &settings, &[])
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        for key in self.all() {
            self.cli(&["DEL", &key]);
        }
    }
}

/// Changes the users outside of the app.
async fn change_users(example: &Example, sql: &'static str) {
    let file = example.place.path().join("locals-redis.db");
    let mut users = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query(sql).execute(&mut users).await.unwrap();
}

#[actix_web::test]
async fn a_user_is_not_logged_in_while_their_account_is_disabled() {
    let keys = Keys::new();
    let example = keys.app();
    let mut ada = example.visitor();
    submit(&mut ada, "/", "/login", &[("name", "Ada")]);
    assert_eq!(ada.get("/me").text, r#"{"id":1,"name":"Ada"}"#);
    assert!(keys.all().iter().any(|key| key.contains(":s:")), "{:?}", keys.all());

    change_users(&example, "UPDATE accounts SET is_disabled = TRUE").await;
    assert_eq!(ada.get("/me").status, 401);
    change_users(&example, "UPDATE accounts SET is_disabled = FALSE").await;
    assert_eq!(ada.get("/me").status, 200);
    submit(&mut ada, "/", "/logout", &[]);
    assert_eq!(ada.get("/me").status, 401);
}

#[test]
fn the_sessions_of_a_deleted_account_are_not_valid_for_the_next_one() {
    let keys = Keys::new();
    let example = keys.app();
    let [mut here, mut there, mut next] = [(); 3].map(|()| example.visitor());
    submit(&mut here, "/", "/login", &[("name", "Ada")]);
    submit(&mut there, "/", "/login", &[("name", "Ada")]);
    assert_eq!(there.get("/me").text, r#"{"id":1,"name":"Ada"}"#);
    submit(&mut here, "/", "/close", &[]);

    submit(&mut next, "/", "/login", &[("name", "Grace")]);
    let me = next.get("/me").text;
    assert!(me.contains("Grace") && !me.contains(r#""id":1,"#), "ids are not reused: {me}");
    assert_eq!((here.get("/me").status, there.get("/me").status), (401, 401));
}
