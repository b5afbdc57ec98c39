//! Session data and guest data as the app's own type, read from JSON and written as JSON.

use super::{
    json,
    mend::{Reading, Stored},
    merge, writable,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::model::{
    error::{Error, StoreError},
    user::AuthUser,
};

/// How much JSON one session may hold, in bytes. It is read with every request.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// How often a write is tried again on newer data. Each time another process has written, so this many
/// at once are an attack, or a mistake.
pub(crate) const MAX_WRITE_TRIES: usize = 128;

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
/// The type may change between versions of the app. What is stored is read by the type alone, with
/// its `#[serde(default)]` and `#[serde(alias = "..")]`. Only what cannot be read so is mended: a field
/// that is missing, of another type, or a variant that the type does not know, takes its value from the
/// type's [`Default`], is logged by name, and stays stored as it is until the app writes another value
/// there. Fields that the type does not have stay stored, too. What would not read back as it is
/// written, such as a float that is not a number, is an error and changes nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the session data of a user",
    label = "not session data",
    note = "write `#[auth_user(session = {Self})]` above the user's type, beside `#[derive(AuthUser)]`"
)]
pub trait SessionData: Serialize + DeserializeOwned + Default + 'static {
    /// The user with whose sessions it is kept.
    type User: AuthUser;
}

/// Data as their type has them.
pub(crate) fn read<D: DeserializeOwned + Serialize + Default>(json: Option<&str>) -> D {
    let Some(json) = json else { return D::default() };
    // What is stored counts alone: what it leaves out, the type knows how to fill in.
    serde_json::from_str(json).unwrap_or_else(|_| {
        let reading = Reading::of(json);
        reading.log();
        reading.data
    })
}

/// The data of whom nothing is kept, as JSON.
pub(crate) fn default_text<D: Serialize + Default>() -> Result<String, Error> {
    Ok(value(&D::default())?.to_string())
}

/// Data after a change, as JSON of at most so many bytes, and what the change gave.
///
/// What the change leaves as it was stays as it was stored: what the type does not know, what it cannot
/// read, and old names. What is written is read again before: it must be what the change has left.
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

/// The first form that reads back as what the change has left: with all that was stored besides, with
/// all of it that can be read, with the fields that the type does not have, or alone.
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
        let readable = Stored::alone(stored.mended.clone());
        let foreign = merge::beside_foreign(&readable, before, after);
        fits(&merge::beside::<D>(stored, before, after))
            .or_else(|| fits(&merge::beside::<D>(readable, before, after)))
            .or_else(|| fits(&foreign))
    };
    let text = with_stored().or_else(|| fits(after));
    text.ok_or_else(|| {
        Error::UnwritableData("the data would not read back as they are written".into())
    })
}

fn value(data: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(data).map_err(|error| Error::UnwritableData(error.into()))
}
