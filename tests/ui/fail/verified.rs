//! A proof: named with its types, given by the attributes alone, and made by nobody else.
use actix_web::get;
use locals::{AuthUser, Check, Session, User, Verified, require_user, with_session};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

struct IsAdmin;

impl Check<Account> for IsAdmin {
    fn check(account: &Account, _: &Session) -> bool {
        account.id == 1
    }
}

struct IsModerator;

#[require_user]
async fn without_types(_admin: Verified) -> &'static str {
    ""
}

#[with_session]
async fn maybe(_admin: Verified<Account, IsAdmin>) -> &'static str {
    ""
}

#[require_user]
async fn no_condition(_moderator: Verified<Account, IsModerator>) -> &'static str {
    ""
}

#[get("/")]
async fn without_attribute(_admin: Verified<Account, IsAdmin>) -> &'static str {
    ""
}

#[require_user]
async fn not_verified(user: User<Account>) -> &'static str {
    wipe(&user);
    ""
}

fn wipe(_: &Verified<Account, IsAdmin>) {}

fn forge(user: User<Account>) -> Verified<Account, IsAdmin> {
    Verified { user, condition: std::marker::PhantomData }
}

fn main() {}
