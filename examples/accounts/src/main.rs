//! Accounts: a small, complete app to copy from.
//!
//! `cargo run -p accounts`, then open the address it prints. Who signs up first is an admin.
//!
//! | variable | what it sets |
//! |---|---|
//! | `DATABASE_URL` | `postgres://..` or `mysql://..` in place of `sqlite://accounts.db`, a file |
//! | `ADDR` | where it listens, `127.0.0.1:8080` by default |
//! | `HTTPS` | set it where people come by HTTPS: the cookie is then for HTTPS alone |
//! | `TRUSTED_PROXY` | the proxy in front, such as `10.0.0.1`, which then says who comes |

use std::{env, error::Error, time::Duration};

use actix_web::{App, HttpServer, cookie::Key, middleware::DefaultHeaders, web};
use actix_web_flash_messages::{FlashMessagesFramework, storage::CookieMessageStore};
use locals::CookieConfig;

use crate::{account::Accounts, password::Passwords};

mod account;
mod admin;
mod api;
mod devices;
mod live;
mod log_in;
mod page;
mod password;
mod profile;
mod throttle;

/// Nothing of a page comes from elsewhere, and no other site shows it in a frame.
const CSP: &str = "default-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init();
    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let url = env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite://accounts.db".to_owned());

    let (accounts, auth) = Accounts::open(&url).await?;
    let mut auth = auth
        .cookie(CookieConfig::default().secure(env::var_os("HTTPS").is_some()))
        .login_page("/login")
        .reauthentication_page("/confirm")
        .answer_with(page::answer)
        .bearer(true);
    if let Ok(proxy) = env::var("TRUSTED_PROXY") {
        auth = auth.trusted_proxy(proxy);
    }
    let auth = auth.build()?;
    let _sweeper = auth.spawn_sweeper(Duration::from_hours(1))?;

    let passwords = web::Data::new(Passwords::new(accounts.clone()));
    let accounts = web::Data::new(accounts);
    // Messages that this run signs. Several processes would share a key.
    let key = Key::generate();
    println!("Open http://{address}");
    HttpServer::new(move || {
        let headers = DefaultHeaders::new()
            .add(("Content-Security-Policy", CSP))
            .add(("X-Content-Type-Options", "nosniff"))
            .add(("Referrer-Policy", "same-origin"));
        // Around the pages alone: the API has no messages.
        let messages = CookieMessageStore::builder(key.clone()).build();
        let pages = web::scope("")
            .wrap(FlashMessagesFramework::builder(messages).build())
            .service(page::home)
            .configure(log_in::routes)
            .configure(profile::routes)
            .configure(devices::routes)
            .configure(admin::routes)
            .configure(live::routes)
            .default_service(web::to(page::not_found));
        App::new()
            .configure(auth.configure())
            .app_data(accounts.clone())
            .app_data(passwords.clone())
            .wrap(headers)
            .configure(page::files)
            .configure(api::routes)
            .service(pages)
    })
    .bind(address)?
    .run()
    .await?;
    Ok(())
}
