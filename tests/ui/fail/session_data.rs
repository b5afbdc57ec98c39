//! Session data are named beside the user, and can be written and read.
use locals::{Auth, AuthUser, Error, Locals, Session, require_user, store::MemoryStore};

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Cart {
    items: Vec<u32>,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Undeclared {
    items: Vec<u32>,
}

struct NotSerde;

#[derive(Clone, AuthUser)]
#[auth_user(session = Cart)]
struct Account {
    id: i64,
}

#[derive(Clone, AuthUser)]
#[auth_user(session = NotSerde)]
struct Staff {
    id: i64,
}

#[derive(Clone, AuthUser)]
#[auth_user(session = "Cart", session)]
struct Quoted {
    id: i64,
}

#[require_user]
async fn read(session: Session) -> String {
    session.data::<Undeclared>().items.len().to_string()
}

#[require_user]
async fn write(locals: Locals) -> Result<&'static str, Error> {
    locals.update_session(|other: &mut Undeclared| other.items.push(1)).await?;
    Ok("")
}

fn main() {
    let _ = Auth::<Account>::builder(MemoryStore::new())
        .merge_guest(|guest: Cart, other: &mut Undeclared| other.items.extend(guest.items));
}
