//! What the derive says of the rows of a user, held against what `sqlx::FromRow` does with them.

use std::any::{Any, TypeId};

use locals::{AuthUser, UserColumn};
use sqlx::{
    AssertSqlSafe, Connection, Database, FromRow, Row, Sqlite, SqliteConnection, sqlite::SqliteRow,
};

/// The columns, those that may be missing with a `?` behind.
fn columns<T: AuthUser>() -> Vec<String> {
    let columns = T::COLUMNS.expect("columns that are known");
    let named = |column: &UserColumn| {
        format!("{}{}", column.name, if column.is_required { "" } else { "?" })
    };
    columns.iter().map(named).collect()
}

/// Whether a row of these columns, with a number in each, becomes a user.
async fn reads<T>(columns: &[&UserColumn]) -> bool
where
    T: for<'r> FromRow<'r, SqliteRow>,
{
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let columns: Vec<_> =
        columns.iter().map(|column| format!("1 AS \"{}\"", column.name)).collect();
    let sql = format!("SELECT {}", [&["0".to_owned()], &columns[..]].concat().join(", "));
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
    T::from_row(&row).is_ok()
}

/// Asserts that a row needs all columns that the derive names as required, and no others.
async fn are_what_sqlx_reads<T>(expected: &[&str])
where
    T: AuthUser + for<'r> FromRow<'r, SqliteRow>,
{
    assert_eq!(columns::<T>(), expected);
    let all: Vec<_> = T::COLUMNS.into_iter().flatten().collect();
    assert!(reads::<T>(&all).await, "{expected:?}");
    for left_out in &all {
        let others: Vec<_> = all.iter().copied().filter(|column| column != left_out).collect();
        let reads = reads::<T>(&others).await;
        if left_out.name == T::ID_COLUMN {
            // It is always there, whatever `default` says.
            assert!(left_out.is_required);
        } else {
            assert_eq!(reads, !left_out.is_required, "{expected:?} without {}", left_out.name);
        }
    }
}

#[allow(dead_code, reason = "what is read, and not what is done with it, is tested")]
mod users {
    use super::*;

    #[derive(FromRow, AuthUser)]
    pub struct Plain {
        id: i64,
        first_name: i64,
        r#type: i64,
    }

    #[derive(FromRow, AuthUser)]
    pub struct Renamed {
        #[sqlx(rename = "account_id")]
        id: i64,
        #[sqlx(rename = "E-Mail")]
        email: i64,
        #[sqlx(default, rename = "Nick")]
        nickname: i64,
        #[sqlx(try_from = "i64")]
        age: Age,
        #[sqlx(skip)]
        cached: i64,
    }

    pub struct Age(i64);

    impl From<i64> for Age {
        fn from(age: i64) -> Self {
            Self(age)
        }
    }

    #[derive(Default, FromRow, AuthUser)]
    #[sqlx(default)]
    pub struct Lenient {
        id: i64,
        name: i64,
    }

    #[derive(FromRow, AuthUser)]
    pub struct Twice {
        id: i64,
        #[sqlx(rename = "name")]
        one: i64,
        #[sqlx(default, rename = "name")]
        other: i64,
    }

    #[derive(FromRow, AuthUser)]
    pub struct Flattened {
        id: i64,
        #[sqlx(flatten)]
        address: Address,
    }

    #[derive(FromRow)]
    pub struct Address {
        street: i64,
    }

    #[derive(FromRow, AuthUser)]
    #[auth_user(columns("email", "id"))]
    pub struct Listed {
        id: i64,
        email: i64,
        #[sqlx(skip)]
        address: i64,
    }

    #[derive(AuthUser)]
    #[auth_user(columns(all))]
    pub struct All {
        id: i64,
        name: String,
    }

    /// The column that is named is read by a `FromRow` like this one; a derived one reads `id`.
    #[derive(AuthUser)]
    pub struct Named {
        #[auth_user(id = "account_id")]
        id: i64,
        name: i64,
    }

    impl<'r> FromRow<'r, SqliteRow> for Named {
        fn from_row(row: &'r SqliteRow) -> sqlx::Result<Self> {
            Ok(Self { id: row.try_get("account_id")?, name: row.try_get("name")? })
        }
    }

    #[derive(FromRow, AuthUser)]
    pub struct Agreeing {
        #[auth_user(id = "account_id")]
        #[sqlx(rename = "account_id")]
        key: i64,
    }

    macro_rules! patterns {
        ($($name:ident = $pattern:literal;)+) => {$(
            #[derive(FromRow, AuthUser)]
            #[sqlx(rename_all = $pattern)]
            pub struct $name {
                #[auth_user(id)]
                user_id: i64,
                r#type: i64,
                line2_of_3: i64,
                #[sqlx(rename = "as_it_is")]
                other: i64,
            }
        )+};
    }

    patterns! {
        Lower = "lowercase";
        Snake = "snake_case";
        Upper = "UPPERCASE";
        Shouty = "SCREAMING_SNAKE_CASE";
        Kebab = "kebab-case";
        Camel = "camelCase";
        Pascal = "PascalCase";
    }

    #[derive(AuthUser)]
    #[auth_user(table = "shop.staff", sessions = "shop.staff_sessions")]
    pub struct Staff {
        id: i64,
    }
}

use users::*;

#[actix_web::test]
async fn a_row_is_read_from_the_columns_that_sqlx_looks_for() {
    are_what_sqlx_reads::<Plain>(&["id", "first_name", "type"]).await;
    are_what_sqlx_reads::<Renamed>(&["account_id", "E-Mail", "Nick?", "age"]).await;
    are_what_sqlx_reads::<Lenient>(&["id", "name?"]).await;
    are_what_sqlx_reads::<Twice>(&["id", "name"]).await;
    are_what_sqlx_reads::<Named>(&["account_id", "id?", "name"]).await;
    are_what_sqlx_reads::<Agreeing>(&["account_id"]).await;
}

#[actix_web::test]
async fn columns_are_renamed_as_sqlx_renames_them() {
    are_what_sqlx_reads::<Lower>(&["user_id", "type", "line2_of_3", "as_it_is"]).await;
    are_what_sqlx_reads::<Snake>(&["user_id", "type", "line2_of_3", "as_it_is"]).await;
    are_what_sqlx_reads::<Upper>(&["USER_ID", "TYPE", "LINE2_OF_3", "as_it_is"]).await;
    are_what_sqlx_reads::<Shouty>(&["USER_ID", "TYPE", "LINE2_OF_3", "as_it_is"]).await;
    are_what_sqlx_reads::<Kebab>(&["user-id", "type", "line2-of-3", "as_it_is"]).await;
    are_what_sqlx_reads::<Camel>(&["userId", "type", "line2Of3", "as_it_is"]).await;
    are_what_sqlx_reads::<Pascal>(&["UserId", "Type", "Line2Of3", "as_it_is"]).await;
}

#[test]
fn the_column_of_the_id_is_the_one_that_sqlx_reads_or_the_one_that_is_named() {
    assert_eq!(Plain::ID_COLUMN, "id");
    assert_eq!(Renamed::ID_COLUMN, "account_id");
    assert_eq!(Named::ID_COLUMN, "account_id");
    assert_eq!(Agreeing::ID_COLUMN, "account_id");
    assert_eq!(Upper::ID_COLUMN, "USER_ID");
    assert_eq!(Camel::ID_COLUMN, "userId");
}

#[actix_web::test]
async fn columns_that_are_listed_are_read_and_no_others() {
    are_what_sqlx_reads::<Listed>(&["email", "id"]).await;
}

#[test]
fn all_columns_are_read_where_the_derive_cannot_know_them() {
    assert_eq!(Flattened::COLUMNS, None);
    assert_eq!(All::COLUMNS, None);
}

#[test]
fn the_table_of_the_sessions_can_be_named() {
    assert_eq!((Plain::TABLE, Plain::SESSIONS), ("users", "user_sessions"));
    assert_eq!((Staff::TABLE, Staff::SESSIONS), ("shop.staff", "shop.staff_sessions"));
}

/// How a row of a database becomes a user.
type ReadRow<D, T> = fn(&<D as Database>::Row) -> sqlx::Result<T>;

/// What the derive knows of it.
fn reader<D: Database, T: AuthUser>() -> Option<ReadRow<D, T>> {
    let reader: Box<dyn Any> = T::row_reader(TypeId::of::<D>())?;
    Some(*reader.downcast().expect("a reader of rows of this database"))
}

#[actix_web::test]
async fn the_derive_knows_how_a_row_becomes_a_user() {
    let read = reader::<Sqlite, Renamed>().unwrap();
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let sql = "SELECT 7 AS account_id, 1 AS \"E-Mail\", 2 AS age";
    let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(read(&row).unwrap().id(), &7);

    #[cfg(feature = "postgres")]
    assert!(reader::<sqlx::Postgres, Renamed>().is_some());
    #[cfg(feature = "mysql")]
    assert!(reader::<sqlx::MySql, Renamed>().is_some());
    assert!(Renamed::row_reader(TypeId::of::<i64>()).is_none());
}

#[test]
fn the_derive_knows_where_no_row_becomes_a_user() {
    assert!(reader::<Sqlite, All>().is_none());
    #[cfg(feature = "postgres")]
    assert!(reader::<sqlx::Postgres, All>().is_none());
    #[cfg(feature = "mysql")]
    assert!(reader::<sqlx::MySql, All>().is_none());
}

#[test]
fn the_derive_tells_the_rows_of_one_database_from_those_of_another() {
    assert!(reader::<Sqlite, Named>().is_some());
    #[cfg(feature = "postgres")]
    assert!(reader::<sqlx::Postgres, Named>().is_none());
    #[cfg(feature = "mysql")]
    assert!(reader::<sqlx::MySql, Named>().is_none());
}
