//! The app's data of a session: typed in the app, JSON in the store.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    auth::UserType,
    error::{Error, StoreError},
    locals::Locals,
    session::{DataChange, Session},
    user::AuthUser,
};

/// How much JSON one session or one guest may hold, in bytes. It is read with every request.
pub(crate) const MOST: usize = 64 * 1024;

/// How often a write is tried again on newer data. Each time somebody else has written, so this many
/// at once are an attack, or a mistake.
pub(crate) const MOST_TRIES: usize = 128;

pub(crate) fn too_busy() -> Error {
    Error::Store(StoreError::backend("too many writes at once of the same data"))
}

/// What the app keeps with each session of its users, such as a shopping cart or a half-filled
/// form. It ends with the session.
///
/// Name it where the user is derived, and it is one:
///
/// ```
/// use locals::{AuthUser, Error, Locals, Session, require_user};
///
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct Cart { items: Vec<u32> }
///
/// #[derive(Clone, AuthUser)]
/// #[auth_user(table = "accounts", session = Cart)]
/// struct Account { id: i64 }
///
/// #[require_user]
/// async fn show(session: Session) -> String {
///     format!("{} items", session.data::<Cart>().items.len())
/// }
///
/// #[require_user]
/// async fn add(locals: Locals) -> Result<String, Error> {
///     let count = locals.update_session(|cart: &mut Cart| {
///         cart.items.push(7);
///         cart.items.len()
///     });
///     Ok(format!("{} items", count.await?))
/// }
/// ```
///
/// The type may change between versions of the app. A field that a stored session does not have
/// takes its value from [`Default`]; one that the type does not have is kept as it is. What does
/// not fit the type at all is replaced by the default, and a warning is logged.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the session data of a user",
    label = "not session data",
    note = "write `#[auth_user(session = {Self})]` above the user's type, beside `#[derive(AuthUser)]`"
)]
pub trait SessionData: Serialize + DeserializeOwned + Default + 'static {
    /// The user with whose sessions it is kept.
    type User: AuthUser;
}

impl Session {
    /// The app's data of this session, as they were when it was read; see [`SessionData`].
    pub fn data<D: SessionData>(&self) -> D {
        read(self.record.data.as_deref())
    }
}

impl Locals {
    /// Changes the app's data of this request's session, and gives what `change` gives; see
    /// [`SessionData`].
    ///
    /// Of writes at once none is lost: where another request has written first, `change` is called
    /// again, with the newer data. So it may only change what it is given. A session that has ended
    /// stays ended.
    ///
    /// ```
    /// # use locals::{AuthUser, Error, Locals};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Cart { items: Vec<u32> }
    /// # #[derive(Clone, AuthUser)]
    /// # #[auth_user(session = Cart)]
    /// # struct Account { id: i64 }
    /// # async fn example(locals: Locals) -> Result<(), Error> {
    /// let count = locals
    ///     .update_session(|cart: &mut Cart| {
    ///         cart.items.push(7);
    ///         cart.items.len()
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if there is no session, or it has ended meanwhile;
    /// [`Error::WrongUser`] if the data are those of another type of user than the app's;
    /// [`Error::TooMuchData`] for more than 64 KiB of JSON; [`Error::Store`] if the store fails.
    pub async fn update_session<D: SessionData, R>(
        &self,
        mut change: impl FnMut(&mut D) -> R,
    ) -> Result<R, Error> {
        self.resolution.auth.expect(UserType::of::<D::User>())?;
        let mut session = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        for _ in 0..MOST_TRIES {
            let (data, result) = changed(session.record.data.as_deref(), &mut change)?;
            let write = DataChange { replaces: session.record.data_revision, data };
            if self.auth().store().write_data(session.id(), &write).await? {
                session.record.data = Some(write.data);
                session.record.data_revision += 1;
                self.resolution.written.replace(Some(Box::new(session.record)));
                return Ok(result);
            }
            let newer = self.auth().store().find(session.id()).await?;
            session.record = newer.ok_or(Error::Unauthenticated)?;
        }
        Err(too_busy())
    }
}

/// Data as their type has them.
pub(crate) fn read<D: DeserializeOwned + Serialize + Default>(json: Option<&str>) -> D {
    let Some(json) = json else { return D::default() };
    let read = || -> serde_json::Result<D> {
        let stored: Value = serde_json::from_str(json)?;
        let mut filled = serde_json::to_value(D::default())?;
        overlay(&mut filled, stored.clone());
        // A type that is one of several shapes does not fit when two of them are mixed.
        serde_json::from_value(filled).or_else(|_| serde_json::from_value(stored))
    };
    read().unwrap_or_else(|error| {
        // Not the data themselves: they are the user's.
        let data = std::any::type_name::<D>();
        tracing::warn!(data, kind = ?error.classify(), "stored data do not fit their type");
        D::default()
    })
}

/// The data of whom nothing is kept, as JSON.
pub(crate) fn default_text<D: Serialize + Default>() -> Result<String, Error> {
    text(&value(&D::default())?)
}

/// Data after a change, as JSON, and what the change gave.
///
/// Fields of an object that their type does not know stay as they were: another version of the app
/// has written them.
pub(crate) fn changed<D: DeserializeOwned + Serialize + Default, R>(
    json: Option<&str>,
    change: &mut impl FnMut(&mut D) -> R,
) -> Result<(String, R), Error> {
    let mut data = read(json);
    let foreign = json.map(|json| foreign(json, &data)).transpose()?;
    let result = change(&mut data);
    let own = value(&data)?;
    let with_foreign = foreign.map(|mut all| {
        overlay(&mut all, own.clone());
        all
    });
    // A type may refuse what it does not know, and must be able to read what it has written.
    let fits = with_foreign.filter(|all| D::deserialize(all).is_ok());
    Ok((text(&fits.unwrap_or(own))?, result))
}

/// The fields of stored data that their type does not have.
fn foreign<D: Serialize>(json: &str, data: &D) -> Result<Value, Error> {
    let mut stored = serde_json::from_str(json).unwrap_or_default();
    if let (Value::Object(stored), Value::Object(own)) = (&mut stored, value(data)?) {
        stored.retain(|name, _| !own.contains_key(name));
    }
    Ok(stored)
}

fn value(data: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(data).map_err(|error| Error::UnwritableData(error.into()))
}

fn text(json: &Value) -> Result<String, Error> {
    let json = json.to_string();
    if json.len() > MOST { Err(Error::TooMuchData { most: MOST }) } else { Ok(json) }
}

/// Puts the fields of one object over those of another; anything else in place of anything else.
fn overlay(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => below.extend(above),
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Cart {
        items: Vec<u32>,
        currency: String,
    }

    impl Default for Cart {
        fn default() -> Self {
            Self { items: Vec::new(), currency: "EUR".to_owned() }
        }
    }

    fn write(data: &impl Serialize) -> Result<String, Error> {
        text(&value(data)?)
    }

    #[test]
    fn what_older_data_do_not_have_is_as_by_default() {
        assert_eq!(read::<Cart>(None), Cart::default());
        let cart: Cart = read(Some(r#"{"items":[1]}"#));
        assert_eq!(cart, Cart { items: vec![1], ..Cart::default() });
    }

    #[test]
    fn what_newer_data_have_besides_is_kept() {
        let json = r#"{"items":[1],"voucher":"X"}"#;
        let (written, count) = changed(Some(json), &mut |cart: &mut Cart| {
            cart.items.push(2);
            cart.items.len()
        })
        .unwrap();
        assert_eq!(count, 2);
        assert_eq!(written, r#"{"currency":"EUR","items":[1,2],"voucher":"X"}"#);
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Form {
        #[serde(default, skip_serializing_if = "Option::is_none", alias = "mail")]
        email: Option<String>,
    }

    /// The JSON after a change.
    fn after<D: Serialize + DeserializeOwned + Default>(json: &str, change: fn(&mut D)) -> String {
        changed(Some(json), &mut |data: &mut D| change(data)).unwrap().0
    }

    #[test]
    fn what_a_change_takes_away_does_not_come_back() {
        let left = after(r#"{"email":"a@b","new":1}"#, |form: &mut Form| form.email = None);
        assert_eq!(left, r#"{"new":1}"#);
        let left = after(r#"{"a":1,"b":2}"#, |map: &mut BTreeMap<String, u32>| {
            map.remove("a");
        });
        assert_eq!(left, r#"{"b":2}"#);
    }

    #[test]
    fn data_of_several_shapes_are_of_one_at_a_time() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        enum Step {
            Address { street: String },
            Payment { iban: String },
        }
        impl Default for Step {
            fn default() -> Self {
                Self::Address { street: String::new() }
            }
        }
        let paying = Step::Payment { iban: "DE".to_owned() };
        let json = after(r#"{"Address":{"street":"A"}}"#, |step: &mut Step| {
            *step = Step::Payment { iban: "DE".to_owned() };
        });
        assert_eq!(json, r#"{"Payment":{"iban":"DE"}}"#);
        assert_eq!(read::<Step>(Some(&json)), paying);
    }

    #[test]
    fn whatever_a_type_has_written_it_reads_again() {
        #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Strict {
            count: u32,
        }
        let json = after(r#"{"count":1,"new":2}"#, |strict: &mut Strict| strict.count += 1);
        assert_eq!(json, r#"{"count":1}"#, "what did not fit was replaced by the default");
        let json = after(r#"{"mail":"a@b"}"#, |form: &mut Form| form.email = Some("c@d".into()));
        assert_eq!(read::<Form>(Some(&json)).email.as_deref(), Some("c@d"));
    }

    #[test]
    fn data_that_do_not_fit_are_as_by_default() {
        for json in ["", "null", "7", "[]", r#"{"items":"none"}"#, "{"] {
            assert_eq!(read::<Cart>(Some(json)), Cart::default(), "{json}");
        }
    }

    #[test]
    fn more_data_than_a_session_may_hold_are_refused() {
        let error = write(&"x".repeat(MOST)).unwrap_err();
        assert!(matches!(error, Error::TooMuchData { .. }));
    }

    proptest! {
        #[test]
        fn data_read_back_as_written(items: Vec<u32>, currency: String) {
            let cart = Cart { items, currency };
            let json = write(&cart).unwrap();
            prop_assert_eq!(read::<Cart>(Some(&json)), cart);
        }

        #[test]
        fn reading_is_total(json: String) {
            read::<Cart>(Some(&json));
        }
    }
}
