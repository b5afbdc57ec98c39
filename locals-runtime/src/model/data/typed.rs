//! Reads session data and guest data from JSON into the app's own type, and writes them back.

use super::{
    json, merge,
    repair::{Reading, Stored},
    writable,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::model::{
    error::{Error, StoreError},
    user::AuthUser,
};

/// The maximum size of the JSON of one session, in bytes. It is read with every request.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// How often a write is retried on newer data. Each retry means that another process has written in the
/// meantime; this many concurrent writes are an attack or a bug.
pub(crate) const MAX_WRITE_TRIES: usize = 128;

pub(crate) fn too_busy() -> Error {
    Error::Store(StoreError::backend("too many concurrent writes to the same data"))
}

/// Data that the app keeps with each session of its users, such as a shopping cart or a half-filled
/// form. They are deleted with the session.
///
/// To implement it, name the type in the derive of the user:
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
/// The type may change between versions of the app:
///
/// - Stored data are read by the type's own `Deserialize`, with its `#[serde(default)]` and
///   `#[serde(alias = "..")]`.
/// - A part that cannot be read so takes its value from the type's [`Default`]: a field that is missing
///   or of another type, or an unknown variant. Its name is logged, and the stored value stays until the
///   app writes another value there.
/// - Fields that the type does not have stay stored, too.
/// - Data that would not read back unchanged, such as a `NaN`, are an error, and nothing is written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the session data of a user",
    label = "not session data",
    note = "write `#[auth_user(session = {Self})]` above the user's type, beside `#[derive(AuthUser)]`"
)]
pub trait SessionData: Serialize + DeserializeOwned + Default + 'static {
    /// The user type whose sessions hold the data.
    type User: AuthUser;
}

/// Reads data as their type.
pub(crate) fn read<D: DeserializeOwned + Serialize + Default>(json: Option<&str>) -> D {
    let Some(json) = json else { return D::default() };
    // The plain form first: the type's own `#[serde(default)]` fills in what is left out.
    serde_json::from_str(json).unwrap_or_else(|_| {
        let reading = Reading::of(json);
        reading.log();
        reading.data
    })
}

/// Returns the default data as JSON.
pub(crate) fn default_text<D: Serialize + Default>() -> Result<String, Error> {
    Ok(value(&D::default())?.to_string())
}

/// Applies a change to stored data. Returns the new JSON, of at most `most` bytes, and the result of the
/// change.
///
/// Everything that the change does not touch stays as it was stored: unknown fields, parts that the type
/// cannot read, and old names of fields. The new JSON is read back before it is returned: it must give
/// the changed data.
pub(crate) fn changed<D: DeserializeOwned + Serialize + Default, R>(
    json: Option<&str>,
    change: &mut impl FnMut(&mut D) -> R,
    most: usize,
) -> Result<(String, R), Error> {
    let (mut data, stored) = match json {
        Some(json) => {
            let reading = Reading::<D>::of(json);
            reading.log();
            (reading.data, reading.stored)
        }
        None => (D::default(), None),
    };
    let before = value(&data)?;
    let result = change(&mut data);
    let after = value(&data)?;
    if json::has_null(&after) {
        writable::check(&data).map_err(|lost| Error::UnwritableData(lost.into()))?;
    }
    let text = match json {
        Some(json) if json::same(&before, &after) => json.to_owned(),
        _ => after_change::<D>(stored, &before, &after)?,
    };
    if text.len() > most { Err(Error::TooMuchData { most }) } else { Ok((text, result)) }
}

/// Returns the first of these forms that reads back as the changed data: merged into everything that was
/// stored, merged into the readable part of it, together with the stored fields that the type does not
/// have, or the data alone.
fn after_change<D: DeserializeOwned + Serialize + Default>(
    stored: Option<Stored>,
    before: &Value,
    after: &Value,
) -> Result<String, Error> {
    let fits = |json: &Value| {
        let text = json.to_string();
        let back = serde_json::from_str(&text).unwrap_or_else(|_| Reading::<D>::of(&text).data);
        let back = serde_json::to_value(back).ok();
        back.is_some_and(|back| json::same_data(&back, after)).then_some(text)
    };
    let with_stored = || {
        let stored = stored?;
        let readable = Stored::intact(stored.repaired.clone());
        let foreign = merge::beside_foreign(&readable, before, after);
        fits(&merge::beside::<D>(stored, before, after))
            .or_else(|| fits(&merge::beside::<D>(readable, before, after)))
            .or_else(|| fits(&foreign))
    };
    let text = with_stored().or_else(|| fits(after));
    text.ok_or_else(|| Error::UnwritableData("the data would not read back unchanged".into()))
}

fn value(data: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(data).map_err(|error| Error::UnwritableData(error.into()))
}
