//! The implementation of the store contract by SQL.

use crate::{
    model::{
        error::StoreError,
        record::{DataChange, GuestRecord, Renewal, SessionRecord, SessionTimes, TokenChange},
        session_id::SessionId,
        time::Timestamp,
        user::AuthUser,
        user_id::UserId,
    },
    store::{
        End, Ends, SessionStore, StoreFuture, readable,
        sql::{
            driver::{Dialect, Value},
            record::{
                guest_values, hash_value, id_value, integer, read_guest, read_record, read_times,
                record_values, time, token_values,
            },
            run::Step,
            store::SqlStore,
        },
    },
};
use sqlx::{
    AssertSqlSafe, SqlSafeStr, SqlStr,
    error::{DatabaseError, ErrorKind},
};

/// How often `create` is tried for a user who exists although the foreign key does not find them.
const CREATE_TRIES: u32 = 5;

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    pub(super) async fn delete_by_user_statement<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<&'a SessionId>,
    ) -> Result<(&'a SqlStr, Vec<Value<'a>>), StoreError> {
        let user = self.user_value(user).await?;
        Ok(match keep {
            None => (&self.shared.statements.delete_by_user, vec![user]),
            Some(keep) => (&self.shared.statements.delete_others, vec![user, id_value(keep)]),
        })
    }

    /// Returns the steps of creating a session: first the session itself, so that a refused one has
    /// waited for no lock, then the sessions to end and the guest, in a fixed order, so that
    /// concurrent calls do not deadlock.
    pub(super) async fn create_steps<'a>(
        &'a self,
        session: &'a SessionRecord,
        ends: &'a Ends<'a>,
    ) -> Result<Vec<Step<'a>>, StoreError> {
        let user = self.user_value(&session.user_id).await?;
        let statements = &self.shared.statements;
        let values = self.create_values(session, user);
        let create = Step { sql: &statements.create, values, is_required: true };
        let mut sessions: Vec<_> = ends.sessions.iter().collect();
        sessions.sort_unstable_by_key(|end| end.id);
        let sessions = sessions
            .into_iter()
            .map(|end| end_step(end, &statements.delete, &statements.delete_unchanged));
        let guest = ends.guest.map(|change| Step {
            sql: &statements.write_guest,
            values: overwrite_values(change.record, change.replaces).into(),
            is_required: true,
        });
        Ok([create].into_iter().chain(sessions).chain(guest).collect())
    }

    pub(super) async fn try_create(&self, steps: &[Step<'_>]) -> Result<bool, StoreError> {
        created(match steps {
            [step] => self.execute(step.sql, &step.values).await.map(first_refused),
            steps => self.execute_all(steps).await,
        })
    }

    /// Whether a user exists although the foreign key has not found them: while `MariaDB` copies a
    /// table that is being altered, foreign keys do not find its rows.
    pub(super) async fn user_exists(&self, user: &UserId) -> Result<bool, StoreError> {
        let Some(query) = D::SQL.user_exists.filter(|_| self.shared.has_foreign_key) else {
            return Ok(false);
        };
        let sql = AssertSqlSafe(self.shared.names.fill(query, &[])).into_sql_str();
        Ok(!self.fetch(&sql, &[self.user_value(user).await?]).await?.is_empty())
    }

    /// Returns the parameters of `create`.
    pub(super) fn create_values<'a>(
        &self,
        session: &'a SessionRecord,
        user: Value<'a>,
    ) -> Vec<Value<'a>> {
        let mut values = record_values(session, user);
        if D::SQL.repeats_user && !self.shared.has_foreign_key {
            values.push(user);
        }
        values
    }

    pub(super) async fn row(
        &self,
        sql: &SqlStr,
        id: SessionId,
    ) -> Result<Option<D::Row>, StoreError> {
        Ok(self.fetch(sql, &[id_value(&id)]).await?.pop())
    }

    /// Runs a statement that changes at most one row. Returns whether it did.
    pub(super) async fn changes_one(
        &self,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<bool, StoreError> {
        Ok(self.execute(sql, values).await? == 1)
    }
}

impl<D: Dialect, T: AuthUser> SessionStore for SqlStore<D, T> {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let steps = self.create_steps(session, &ends).await?;
            for _ in 0..CREATE_TRIES {
                match self.try_create(&steps).await {
                    Err(StoreError::UserGone) if self.user_exists(&session.user_id).await? => {}
                    result => return result,
                }
            }
            Err(StoreError::backend("the foreign key does not find an existing user"))
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(async move {
            let row = self.row(&self.shared.statements.find, id).await?;
            row.map(|row| read_record::<D, T>(&row, 0, Some(id))).transpose()
        })
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let values = [
                time(renewal.active_expires_at),
                time(renewal.idle_expires_at),
                time(renewal.renewed_at),
                id_value(&id),
                time(renewal.replaces),
                hash_value(&renewal.secret_hash),
            ];
            self.changes_one(&self.shared.statements.renew, &values).await
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.changes_one(&self.shared.statements.change_token, &token_values(&id, change)).await
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let values = [Value::Text(Some(&change.data)), id_value(&id), integer(change.replaces)];
            self.changes_one(&self.shared.statements.write_data, &values).await
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(
            async move { self.changes_one(&self.shared.statements.delete, &[id_value(&id)]).await },
        )
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let (sql, values) = self.delete_by_user_statement(user, keep.as_ref()).await?;
            self.execute(sql, &values).await
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            let user = self.user_value(user).await?;
            let rows = self.fetch(&self.shared.statements.list_by_user, &[user]).await?;
            readable(rows.iter().map(|row| read_record::<D, T>(row, 0, None)))
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        Box::pin(async move {
            let user = self.user_value(user).await?;
            let rows = self.fetch(&self.shared.statements.list_times_by_user, &[user]).await?;
            readable(rows.iter().map(read_times::<D>))
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let sessions = &self.shared.statements.delete_expired;
            let sessions = self.execute(sessions, &[time(now), integer(limit.into())]).await?;
            let left = i64::from(limit).saturating_sub_unsigned(sessions);
            if left <= 0 {
                return Ok(sessions);
            }
            let guests = &self.shared.statements.delete_expired_guests;
            Ok(sessions + self.execute(guests, &[time(now), integer(left)]).await?)
        })
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        Box::pin(async move {
            let row = self.row(&self.shared.statements.find_guest, id).await?;
            row.map(|row| read_guest::<D>(&row, id)).transpose()
        })
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let Some(replaces) = replaces else {
                let values = guest_values(guest);
                let created = self.changes_one(&self.shared.statements.create_guest, &values).await;
                return created.map_err(refusal);
            };
            let values = overwrite_values(guest, replaces);
            self.changes_one(&self.shared.statements.write_guest, &values).await
        })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.changes_one(&self.shared.statements.delete_guest, &[id_value(&id)]).await
        })
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let rows = self.fetch(&self.shared.statements.count_guests, &[time(now)]).await?;
            let count = rows.first().map(|row| D::integer(row, 0)).transpose()?;
            Ok(count.unwrap_or_default().unsigned_abs())
        })
    }

    fn users_table(&self) -> Option<&'static str> {
        Some(T::TABLE)
    }
}

/// Returns the parameters of every `write_guest` of the dialects.
pub(super) fn overwrite_values(guest: &GuestRecord, replaces: i64) -> [Value<'_>; 5] {
    let [_, data, revision, end, id] = guest_values(guest);
    [data, revision, end, id, integer(replaces)]
}

/// Returns the step that ends one session: with the statement `always`, or with `unchanged` if its data
/// must not have changed.
fn end_step<'a>(end: &'a End, always: &'a SqlStr, unchanged: &'a SqlStr) -> Step<'a> {
    let id = id_value(&end.id);
    match end.data_revision {
        None => Step { sql: always, values: vec![id], is_required: false },
        Some(revision) => {
            Step { sql: unchanged, values: vec![id, integer(revision)], is_required: true }
        }
    }
}

/// Converts the result of the steps of creating a session. A refused first step means that the user does
/// not exist; a refused later step means that data have changed in the meantime.
pub(super) fn created(refused: Result<Option<usize>, StoreError>) -> Result<bool, StoreError> {
    match refused {
        Ok(None) => Ok(true),
        Ok(Some(0)) => Err(StoreError::UserGone),
        Ok(Some(_)) => Ok(false),
        Err(error) => Err(refusal(error)),
    }
}

/// Returns index 0 if the only step has changed no row.
pub(super) fn first_refused(changed: u64) -> Option<usize> {
    (changed == 0).then_some(0)
}

/// Distinguishes a taken id and a missing user from other errors. The only foreign key is that of a session
/// to its user.
fn refusal(error: StoreError) -> StoreError {
    let StoreError::Backend(cause) = &error else { return error };
    let cause = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    match cause.map(DatabaseError::kind) {
        Some(ErrorKind::UniqueViolation) => StoreError::Collision,
        Some(ErrorKind::ForeignKeyViolation) => StoreError::UserGone,
        _ => error,
    }
}
