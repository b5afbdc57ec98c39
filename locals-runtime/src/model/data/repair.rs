//! Reads data of which some parts cannot be read, by putting defaults in their place.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    json::{self, Path, Shown, Step},
    part::{self, Asked, Fault, Kind},
};

/// The maximum number of parts of one value that are repaired individually. For further ones the whole
/// top-level field gets its default, again for at most this many fields. Each repair deserializes the
/// whole value once more.
const MAX_PARTS: usize = 256;

/// The maximum number of names in a log message.
const MAX_NAMES: usize = 16;

/// Data as their type reads them, and how the stored form was read.
pub(super) struct Reading<D> {
    pub data: D,
    /// The stored form; `None` if it is not JSON.
    pub stored: Option<Stored>,
    /// Whether it was read without repairs.
    is_intact: bool,
}

/// The stored form of data, and the parts of it that cannot be read.
#[derive(Clone)]
pub(super) struct Stored {
    pub json: Value,
    /// The same with defaults in place of unreadable parts.
    pub repaired: Value,
    /// Stored parts that cannot be read, and that are kept.
    pub kept: Vec<Path>,
    /// Fields that the type refuses, and that are removed by the next write.
    pub refused: Vec<Path>,
    /// Fields that are not stored and have no `#[serde(default)]`.
    pub missing: Vec<Path>,
}

impl<D: DeserializeOwned + Serialize + Default> Reading<D> {
    /// Reads stored text, without repairs if possible.
    pub(super) fn of(text: &str) -> Self {
        let json = serde_json::from_str::<Value>(text).ok();
        let data = serde_json::from_str::<D>(text).ok();
        match (json, data) {
            (json, Some(data)) => Self { data, stored: json.map(Stored::intact), is_intact: true },
            (Some(json), None) => Self::repaired(json),
            (None, None) => Self { data: D::default(), stored: None, is_intact: false },
        }
    }

    /// Reads JSON that needs repairs.
    fn repaired(json: Value) -> Self {
        let default = serde_json::to_value(D::default()).unwrap_or_default();
        let mut stored = Stored::intact(json);
        for number in 0..2 * MAX_PARTS {
            if let Ok(data) = D::deserialize(&stored.repaired) {
                return Self { data, stored: Some(stored), is_intact: false };
            }
            let Some(fault) = part::first_fault::<D>(&stored.repaired) else { break };
            let fault = if number < MAX_PARTS { fault } else { fault.of_outermost() };
            if !stored.repair::<D>(fault, &default) {
                break;
            }
        }
        let whole =
            Stored { repaired: default, kept: vec![Path::new()], ..Stored::intact(stored.json) };
        Self { data: D::default(), stored: Some(whole), is_intact: false }
    }

    /// Logs the names of the parts that could not be read.
    pub(super) fn log(&self) {
        if self.is_intact {
            return;
        }
        let data = std::any::type_name::<D>();
        let Some(stored) = &self.stored else {
            tracing::warn!(data, "stored data are not JSON: the default is used");
            return;
        };
        let fields = names(stored.kept.iter().chain(&stored.refused));
        if !fields.is_empty() {
            // Not the data themselves, which may be private.
            tracing::warn!(
                data,
                fields,
                "stored data do not match their type: the default is used"
            );
        }
        let fields = names(&stored.missing);
        if !fields.is_empty() {
            tracing::debug!(data, fields, "stored data lack fields: the default is used");
        }
    }
}

/// Returns the paths as they are shown in a log.
fn names<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let name = Shown(path).to_string();
        if names.len() < MAX_NAMES && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

impl Stored {
    pub(super) fn intact(json: Value) -> Self {
        let (kept, refused, missing) = (Vec::new(), Vec::new(), Vec::new());
        Self { repaired: json.clone(), json, kept, refused, missing }
    }

    /// Whether this part cannot be read.
    pub(super) fn is_kept(&self, path: &[Step]) -> bool {
        self.kept.iter().any(|kept| json::is_same_path(kept, path))
    }

    /// Replaces the smallest part around the fault that has a default by that default. Returns `false` if
    /// there is none but the whole value.
    fn repair<D: DeserializeOwned>(&mut self, fault: Fault, default: &Value) -> bool {
        let mut path = fault.path;
        let is_repaired = match (fault.kind, fault.asked) {
            (Kind::Key, asked) => self.leave_out(&path, asked),
            // The default of one enum variant must not fill a field of another.
            (_, Asked::Untyped) | (Kind::Other, Asked::Struct) => false,
            (Kind::Missing(name), _) => self.fill(&path, name, default),
            (Kind::Duplicate(name), _) => self.choose::<D>(&path, name),
            (Kind::Other, Asked::Map) => self.replace_flattened(&path, &fault.direct, default),
        };
        if is_repaired {
            return true;
        }
        while !path.is_empty() {
            if self.replace(&path, default) {
                return true;
            }
            path.pop();
        }
        false
    }

    /// Removes a field whose name the type refuses.
    fn leave_out(&mut self, path: &[Step], asked: Asked) -> bool {
        let Some((Step::Field(name) | Step::Key(name), object)) = path.split_last() else {
            return false;
        };
        if json::take(&mut self.repaired, object, name).is_none() {
            return false;
        }
        let list = if asked == Asked::Struct { &mut self.refused } else { &mut self.kept };
        list.push(path.to_vec());
        true
    }

    /// Fills in the default of a missing field.
    fn fill(&mut self, object: &[Step], name: &str, default: &Value) -> bool {
        let mut path = object.to_vec();
        path.push(Step::Field(name.to_owned()));
        let is_there = json::at(&self.repaired, &path).is_some();
        let Some(value) = json::at(default, &path).filter(|_| !is_there) else { return false };
        if !json::put(&mut self.repaired, object, name, value.clone()) {
            return false;
        }
        // It may be missing only because it was removed as unreadable.
        if json::at(&self.json, &path).is_none() {
            self.missing.push(path);
        }
        true
    }

    /// If a field is stored under several names, keeps the value under its own name.
    fn choose<D: DeserializeOwned>(&mut self, object: &[Step], name: &str) -> bool {
        let fields = json::at(&self.repaired, object).and_then(Value::as_object);
        let others: Vec<String> = fields
            .into_iter()
            .flat_map(|fields| fields.keys())
            .filter(|other| *other != name)
            .take(MAX_PARTS)
            .cloned()
            .collect();
        for other in others {
            let Some(value) = json::take(&mut self.repaired, object, &other) else { continue };
            let fault = part::first_fault::<D>(&self.repaired);
            if !fault.is_some_and(|fault| fault.is_duplicate(name, object)) {
                let mut path = object.to_vec();
                path.push(Step::Field(other));
                self.kept.push(path);
                return true;
            }
            json::put(&mut self.repaired, object, &other, value);
        }
        false
    }

    /// Replaces a flattened part by its default, because it is unknown which of its fields cannot be read.
    /// If that was already done, removes the fields that have no default, too.
    fn replace_flattened(&mut self, path: &[Step], direct: &[String], default: &Value) -> bool {
        let default = json::at(default, path).and_then(Value::as_object);
        let fields = json::at_mut(&mut self.repaired, path).and_then(Value::as_object_mut);
        let (Some(default), Some(fields)) = (default, fields) else { return false };
        let before = fields.clone();
        for (name, value) in default.iter().filter(|(name, _)| !direct.contains(name)) {
            fields.insert(name.clone(), value.clone());
        }
        if *fields == before {
            fields.retain(|name, _| direct.contains(name) || default.contains_key(name));
        }
        let changed: Vec<_> = before
            .iter()
            .filter(|(name, value)| fields.get(*name) != Some(value))
            .map(|(name, _)| name.clone())
            .collect();
        let is_changed = *fields != before;
        for name in changed {
            let mut place = path.to_vec();
            place.push(Step::Key(name));
            if !self.is_kept(&place) {
                self.kept.push(place);
            }
        }
        is_changed
    }

    /// Replaces a part by its default, or removes it if the default does not have it.
    fn replace(&mut self, path: &[Step], default: &Value) -> bool {
        if self.is_kept(path) {
            return false;
        }
        let is_replaced = match (json::at(default, path), path.split_last()) {
            (Some(value), _) => match json::at_mut(&mut self.repaired, path) {
                Some(part) => {
                    *part = value.clone();
                    true
                }
                None => false,
            },
            (None, Some((Step::Field(name) | Step::Key(name), object))) => {
                json::take(&mut self.repaired, object, name).is_some()
            }
            (None, _) => false,
        };
        if is_replaced {
            // Parts inside it are covered by it.
            self.kept.retain(|kept| !is_inside(kept, path));
            self.missing.retain(|missing| !is_inside(missing, path));
            self.refused.retain(|refused| !is_inside(refused, path));
            self.kept.push(path.to_vec());
        }
        is_replaced
    }
}

fn is_inside(path: &[Step], outer: &[Step]) -> bool {
    path.len() > outer.len() && json::is_same_path(&path[..outer.len()], outer)
}
