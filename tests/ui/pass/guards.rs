//! Guards with their arguments, on handlers with and without a user.
use std::time::Duration;

use actix_web::{App, web};
use locals::{
    Auth, AuthUser, Check, Recent, Session, User, Verified, require_user, store::MemoryStore,
    with_session,
};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

impl Account {
    fn is_admin(&self) -> bool {
        self.id == 1
    }
}

struct IsAdmin;

impl Check<Account> for IsAdmin {
    fn check(account: &Account, _: &Session) -> bool {
        account.is_admin()
    }
}

#[require_user(redirect = "/login?from=a", check = Account::is_admin, recent = "1h30m")]
async fn all(_user: User<Account>) -> &'static str {
    ""
}

#[require_user(check = |account| account.id > 2 && account.id < 7)]
async fn closure(_user: User<Account>) -> &'static str {
    ""
}

#[require_user(check = |account: &Account| account.is_admin())]
async fn closure_without_user() -> &'static str {
    ""
}

#[require_user(check = Account::is_admin)]
async fn path_without_user(_session: Session) -> &'static str {
    ""
}

#[with_session(cross_origin, guest_only = "/")]
async fn guests() -> &'static str {
    ""
}

#[require_user]
async fn proofs(admin: Verified<Account, (IsAdmin, Recent<10>)>, user: User<Account>) -> String {
    deep(&admin).to_string() + &user.id.to_string()
}

fn deep(admin: &Verified<Account, (IsAdmin, Recent<10>)>) -> i64 {
    admin.id + admin.user().id
}

fn main() {
    let auth = Auth::<Account>::builder(MemoryStore::new())
        .login_page("/login")
        .reauthentication_page("/confirm")
        .build()
        .unwrap();
    let guard = auth.require_user().redirect("/login").recent(Duration::from_mins(5));
    let _app = App::new().configure(auth.configure()).service(
        web::scope("/admin")
            .wrap(guard.check(Account::is_admin))
            .route("/all", web::get().to(all))
            .route("/closure", web::get().to(closure))
            .route("/closure-2", web::get().to(closure_without_user))
            .route("/path", web::get().to(path_without_user))
            .route("/guests", web::get().to(guests))
            .route("/proofs", web::get().to(proofs)),
    );
}
