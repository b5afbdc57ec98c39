//! Every type of id, and every way to name it.
use locals::AuthUser;

#[derive(AuthUser)]
struct Default {
    id: i64,
}

#[derive(AuthUser)]
#[auth_user(table = "accounts")]
struct Marked {
    id: String,
    #[auth_user(id)]
    number: i32,
}

#[derive(AuthUser)]
#[auth_user(table = "auth.accounts")]
struct Column {
    #[auth_user(id = "account_id")]
    key: uuid::Uuid,
}

#[derive(AuthUser)]
struct Raw {
    #[auth_user(id)]
    r#type: String,
}

#[derive(AuthUser)]
#[auth_user(table = "staff", sessions = "auth.staff_sessions", columns(all))]
struct Elsewhere {
    id: u64,
}

#[derive(AuthUser)]
#[auth_user(columns("id", "E-Mail"))]
struct Listed {
    id: i16,
}

#[derive(Clone, locals::UserKey)]
struct AccountId(u32);

#[derive(Clone, locals::UserKey)]
struct Wrapped {
    r#type: AccountId,
}

#[derive(AuthUser)]
struct OfOwnType {
    id: Wrapped,
}

fn main() {
    assert_eq!((Default::TABLE, Default::ID_COLUMN), ("users", "id"));
    assert_eq!((Marked::TABLE, Marked::ID_COLUMN), ("accounts", "number"));
    assert_eq!((Column::TABLE, Column::ID_COLUMN), ("auth.accounts", "account_id"));
    assert_eq!(Raw::ID_COLUMN, "type");
    assert_eq!(Default { id: 1 }.id(), &1_i64);
    assert_eq!(Marked { id: String::new(), number: 2 }.id(), &2_i32);
    assert!(Column { key: uuid::Uuid::nil() }.id().is_nil());
    assert_eq!(Raw { r#type: "a".into() }.id(), "a");
    assert_eq!((Elsewhere::TABLE, Elsewhere::SESSIONS), ("staff", "auth.staff_sessions"));
    assert_eq!((Elsewhere { id: 1 }.id(), Elsewhere::COLUMNS), (&1, None));
    let columns = ["id", "E-Mail"].map(locals::UserColumn::required);
    assert_eq!((Listed { id: 1 }.id(), Listed::COLUMNS), (&1, Some(&columns[..])));
    let id = Wrapped { r#type: AccountId(7) };
    assert_eq!(locals::UserId::from(OfOwnType { id }.id().clone()), locals::UserId::Integer(7));
    assert!(Wrapped::try_from(locals::UserId::Integer(-7)).is_err());
}
