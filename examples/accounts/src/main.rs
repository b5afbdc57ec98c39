//! Accounts: a small, complete app to start from.
//!
//! `cargo run -p accounts`, then open the address it prints. The first account to sign up is the admin.
//!
//! | variable | what it sets |
//! |---|---|
//! | `DATABASE_URL` | `postgres://..`, `mysql://..` or `sqlite://..`; by default the file `sqlite://accounts.db` |
//! | `ADDR` | the address to listen on, by default `127.0.0.1:8080` |
//! | `HTTPS` | set it if the app is served over HTTPS, so that the session cookie is `Secure` |
//! | `TRUSTED_PROXY` | the address of a reverse proxy, such as `10.0.0.1`, that reports client addresses |

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

/// Pages load nothing from other sites and cannot be framed by them.
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
        .error_response(page::error_page)
        .bearer(true);
    if let Ok(proxy) = env::var("TRUSTED_PROXY") {
        auth = auth.trusted_proxy(proxy);
    }
    let auth = auth.build()?;
    let _sweeper = auth.spawn_sweeper(Duration::from_hours(1))?;

    let passwords = web::Data::new(Passwords::new(accounts.clone()));
    let accounts = web::Data::new(accounts);
    // Signs the flash messages. Several processes would have to share one key.
    let key = Key::generate();
    println!("Open http://{address}");
    HttpServer::new(move || {
        let headers = DefaultHeaders::new()
            .add(("Content-Security-Policy", CSP))
            .add(("X-Content-Type-Options", "nosniff"))
            .add(("Referrer-Policy", "same-origin"));
        // For the pages only: the API has no flash messages.
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
            .configure(page::static_files)
            .configure(api::routes)
            .service(pages)
    })
    .bind(address)?
    .run()
    .await?;
    Ok(())
}
