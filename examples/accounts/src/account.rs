//! The user type and its queries.

use locals::{Auth, AuthBuilder, AuthUser, Error, Session, store::SqlStore};
use serde::Serialize;
use sqlx::{FromRow, MySqlPool, PgPool, QueryBuilder, SqlitePool, error::DatabaseError};

/// A row of the table `accounts`, and the user type of all handlers.
#[derive(FromRow, Serialize, AuthUser)]
#[auth_user(table = "accounts")]
pub struct Account {
    pub id: i64,
    pub name: String,
    pub email: String,
    /// Changing it, even by plain SQL, logs the account out everywhere.
    #[serde(skip)]
    #[auth_user(credential)]
    pub password_hash: String,
    pub is_admin: bool,
}

/// The table `accounts`, in the same database as the sessions.
///
/// An app that supports only one database has a pool instead of this type, and uses
/// `sqlx::query_as` instead of `QueryBuilder`, which is here because the placeholders differ (`?` or
/// `$1`): see `examples/postgres.rs`.
#[derive(Clone)]
pub enum Accounts {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// Compiles the same code for each database.
macro_rules! on {
    ($accounts:expr, $pool:ident => $body:expr) => {
        match $accounts {
            Accounts::Sqlite($pool) => $body,
            Accounts::Postgres($pool) => $body,
            Accounts::MySql($pool) => $body,
        }
    };
}

impl Accounts {
    /// Opens a database, creates the tables if they are missing, and returns a builder for `Auth`.
    pub async fn open(url: &str) -> Result<(Self, AuthBuilder<Account>), Error> {
        macro_rules! open {
            ($kind:ident, $open:ident, $schema:literal) => {{
                let store = SqlStore::$open(url).await?;
                let schema = include_str!(concat!("../migrations/", $schema));
                sqlx::raw_sql(schema).execute(store.pool()).await?;
                store.migrate().await?;
                Ok((Self::$kind(store.pool().clone()), Auth::builder(store)))
            }};
        }
        match url.split_once("://").map_or("", |(kind, _)| kind) {
            "postgres" | "postgresql" => open!(Postgres, postgres, "postgres.sql"),
            "mysql" | "mariadb" => open!(MySql, mysql, "mysql.sql"),
            _ => open!(Sqlite, sqlite, "sqlite.sql"),
        }
    }

    pub async fn find(&self, id: i64) -> Result<Option<Account>, Error> {
        on!(self, pool => {
            let mut query = QueryBuilder::new("SELECT * FROM accounts WHERE id = ");
            Ok(query.push_bind(id).build_query_as().fetch_optional(pool).await?)
        })
    }

    pub async fn find_by_email(&self, email: &str) -> Result<Option<Account>, Error> {
        on!(self, pool => {
            let mut query = QueryBuilder::new("SELECT * FROM accounts WHERE email = ");
            Ok(query.push_bind(email).build_query_as().fetch_optional(pool).await?)
        })
    }

    pub async fn all(&self) -> Result<Vec<Account>, Error> {
        let query = "SELECT * FROM accounts ORDER BY name, id";
        on!(self, pool => Ok(sqlx::query_as(query).fetch_all(pool).await?))
    }

    /// Adds an account; the first one is an admin. Returns `None` if the e-mail address is taken.
    pub async fn add(&self, name: &str, email: &str, hash: &str) -> Result<Option<Account>, Error> {
        let added = on!(self, pool => {
            let columns = "INSERT INTO accounts (name, email, password_hash, is_admin) SELECT ";
            let mut query = QueryBuilder::new(columns);
            let mut values = query.separated(", ");
            values.push_bind(name).push_bind(email).push_bind(hash);
            values.push("NOT EXISTS (SELECT 1 FROM accounts)");
            query.build().execute(pool).await.map(drop)
        });
        match added {
            Ok(()) => self.find_by_email(email).await,
            Err(error)
                if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// In one transaction: changes the password, ends the other sessions of the account and replaces
    /// the token of this one. Fails if this session has ended in the meantime.
    pub async fn change_password(
        &self,
        auth: &Auth<Account>,
        session: &Session,
        account: &Account,
        hash: &str,
    ) -> Result<Session, Error> {
        on!(self, pool => {
            let mut transaction = pool.begin().await?;
            let mut query = QueryBuilder::new("UPDATE accounts SET password_hash = ");
            query.push_bind(hash).push(" WHERE id = ").push_bind(account.id);
            query.build().execute(&mut *transaction).await?;
            let mut sessions = auth.within(&mut transaction)?;
            sessions.invalidate_other_sessions(session).await?;
            let session = sessions.reauthenticate(session).await?.ok_or(Error::Unauthenticated)?;
            transaction.commit().await?;
            Ok(session)
        })
    }

    pub async fn delete(&self, id: i64) -> Result<(), Error> {
        on!(self, pool => {
            let mut query = QueryBuilder::new("DELETE FROM accounts WHERE id = ");
            Ok(query.push_bind(id).build().execute(pool).await.map(drop)?)
        })
    }
}
