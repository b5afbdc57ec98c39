//! A check is a function of the user that says yes or no.
use locals::{AuthUser, User, require_user};

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

struct Customer;

fn of_another(_: &Customer) -> bool {
    true
}

fn by_value(_: Account) -> bool {
    true
}

fn says_a_number(_: &Account) -> u8 {
    1
}

#[require_user(check = of_another)]
async fn another_type(_user: User<Account>) -> &'static str {
    ""
}

#[require_user(check = by_value)]
async fn takes_the_user(_user: User<Account>) -> &'static str {
    ""
}

#[require_user(check = says_a_number)]
async fn no_answer(_user: User<Account>) -> &'static str {
    ""
}

#[require_user(check = Account::is_admin)]
async fn unknown(_user: User<Account>) -> &'static str {
    ""
}

fn main() {}
