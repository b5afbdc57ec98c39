//! The table of the sessions and the data of a session are two settings.
use locals::AuthUser;

struct Cart;

#[derive(AuthUser)]
#[auth_user(session = "staff_sessions")]
struct TextForType {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(sessions = Cart)]
struct TypeForText {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(sessions = "staff sessions")]
struct Misnamed {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(sessions)]
struct Bare {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(table = "staff", sessions = "staff")]
struct OneTable {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(table = "user_sessions")]
struct DefaultTable {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(sessions = "sessions_of_the_members_of_our_associations_abroad")]
struct Long {
    id: i64,
}

fn main() {}
