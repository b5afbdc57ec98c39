//! Reads data of which parts cannot be read.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    json::{self, Path, Shown, Step},
    part::{self, Asked, Fault, Kind},
};

/// How many parts of one value are mended by themselves; of further ones the field of the whole in which
/// they are is the default, and so many fields at most. Each costs a reading of the whole.
const MAX_PARTS: usize = 256;

/// How many names a log has at most.
const MOST_NAMES: usize = 16;

/// Data as their type reads them, and what it has made of the stored form.
pub(super) struct Reading<D> {
    pub data: D,
    /// The stored form; `None` if that is no JSON.
    pub stored: Option<Stored>,
    /// Whether all of it was read as it is stored.
    is_alone: bool,
}

/// A stored form, and what cannot be read of it.
#[derive(Clone)]
pub(super) struct Stored {
    pub json: Value,
    /// The same with defaults in place of what cannot be read.
    pub mended: Value,
    /// What is stored, cannot be read, and stays.
    pub kept: Vec<Path>,
    /// What the type refuses, and what goes with the next write.
    pub refused: Vec<Path>,
    /// What is not stored, and has no default of its own field.
    pub missing: Vec<Path>,
}

impl<D: DeserializeOwned + Serialize + Default> Reading<D> {
    /// Reads stored text: alone, if that can be done.
    pub(super) fn of(text: &str) -> Self {
        let json = serde_json::from_str::<Value>(text).ok();
        let alone = serde_json::from_str::<D>(text).ok();
        match (json, alone) {
            (json, Some(data)) => Self { data, stored: json.map(Stored::alone), is_alone: true },
            (Some(json), None) => Self::mended(json),
            (None, None) => Self { data: D::default(), stored: None, is_alone: false },
        }
    }

    /// Reads what cannot be read alone.
    fn mended(json: Value) -> Self {
        let default = serde_json::to_value(D::default()).unwrap_or_default();
        let mut stored = Stored::alone(json);
        for number in 0..2 * MAX_PARTS {
            if let Ok(data) = D::deserialize(&stored.mended) {
                return Self { data, stored: Some(stored), is_alone: false };
            }
            let Some(fault) = part::first_fault::<D>(&stored.mended) else { break };
            let fault = if number < MAX_PARTS { fault } else { fault.of_outermost() };
            if !stored.mend::<D>(fault, &default) {
                break;
            }
        }
        let whole =
            Stored { mended: default, kept: vec![Path::new()], ..Stored::alone(stored.json) };
        Self { data: D::default(), stored: Some(whole), is_alone: false }
    }

    /// Logs what could not be read, by name.
    pub(super) fn log(&self) {
        if self.is_alone {
            return;
        }
        let data = std::any::type_name::<D>();
        let Some(stored) = &self.stored else {
            tracing::warn!(data, "stored data are not JSON: read as the default");
            return;
        };
        let fields = names(stored.kept.iter().chain(&stored.refused));
        if !fields.is_empty() {
            // Not the data themselves: they are the user's.
            tracing::warn!(data, fields, "stored data do not fit their type: read as the default");
        }
        let fields = names(&stored.missing);
        if !fields.is_empty() {
            tracing::debug!(data, fields, "stored data lack fields: read as the default");
        }
    }
}

/// Paths as a log shows them.
fn names<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let name = Shown(path).to_string();
        if names.len() < MOST_NAMES && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

impl Stored {
    pub(super) fn alone(json: Value) -> Self {
        let (kept, refused, missing) = (Vec::new(), Vec::new(), Vec::new());
        Self { mended: json.clone(), json, kept, refused, missing }
    }

    /// Whether this part cannot be read.
    pub(super) fn is_kept(&self, path: &[Step]) -> bool {
        self.kept.iter().any(|kept| json::same_place(kept, path))
    }

    /// Puts the default in place of the smallest part that cannot be read and has one; `false` if
    /// that is the whole.
    fn mend<D: DeserializeOwned>(&mut self, fault: Fault, default: &Value) -> bool {
        let mut path = fault.path;
        let is_mended = match (fault.kind, fault.asked) {
            (Kind::Key, asked) => self.leave_out(&path, asked),
            // What a variant lacks is not taken from another one.
            (_, Asked::Untyped) | (Kind::Other, Asked::Struct) => false,
            (Kind::Missing(name), _) => self.fill(&path, name, default),
            (Kind::Duplicate(name), _) => self.choose::<D>(&path, name),
            (Kind::Other, Asked::Map) => self.replace_flattened(&path, &fault.direct, default),
        };
        if is_mended {
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

    /// Leaves out a field whose name is refused.
    fn leave_out(&mut self, path: &[Step], asked: Asked) -> bool {
        let Some((Step::Field(name) | Step::Key(name), object)) = path.split_last() else {
            return false;
        };
        if json::take(&mut self.mended, object, name).is_none() {
            return false;
        }
        let list = if asked == Asked::Struct { &mut self.refused } else { &mut self.kept };
        list.push(path.to_vec());
        true
    }

    /// Fills in a field that is not there.
    fn fill(&mut self, object: &[Step], name: &str, default: &Value) -> bool {
        let mut path = object.to_vec();
        path.push(Step::Field(name.to_owned()));
        let is_there = json::at(&self.mended, &path).is_some();
        let Some(value) = json::at(default, &path).filter(|_| !is_there) else { return false };
        if !json::put(&mut self.mended, object, name, value.clone()) {
            return false;
        }
        // It may have been left out because it cannot be read.
        if json::at(&self.json, &path).is_none() {
            self.missing.push(path);
        }
        true
    }

    /// Of a field that is there under several names, takes the one of its own name.
    fn choose<D: DeserializeOwned>(&mut self, object: &[Step], name: &str) -> bool {
        let fields = json::at(&self.mended, object).and_then(Value::as_object);
        let others: Vec<String> = fields
            .into_iter()
            .flat_map(|fields| fields.keys())
            .filter(|other| *other != name)
            .take(MAX_PARTS)
            .cloned()
            .collect();
        for other in others {
            let Some(value) = json::take(&mut self.mended, object, &other) else { continue };
            let fault = part::first_fault::<D>(&self.mended);
            if !fault.is_some_and(|fault| fault.is_twice(name, object)) {
                let mut path = object.to_vec();
                path.push(Step::Field(other));
                self.kept.push(path);
                return true;
            }
            json::put(&mut self.mended, object, &other, value);
        }
        false
    }

    /// Puts the default in place of a flattened part: which of its fields cannot be read is unknown.
    /// If that is not enough, what has no default goes, too.
    fn replace_flattened(&mut self, path: &[Step], direct: &[String], default: &Value) -> bool {
        let default = json::at(default, path).and_then(Value::as_object);
        let fields = json::at_mut(&mut self.mended, path).and_then(Value::as_object_mut);
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

    /// Puts the default in place of a part, or leaves out one that is not there by default.
    fn replace(&mut self, path: &[Step], default: &Value) -> bool {
        if self.is_kept(path) {
            return false;
        }
        let is_replaced = match (json::at(default, path), path.split_last()) {
            (Some(value), _) => match json::at_mut(&mut self.mended, path) {
                Some(part) => {
                    *part = value.clone();
                    true
                }
                None => false,
            },
            (None, Some((Step::Field(name) | Step::Key(name), object))) => {
                json::take(&mut self.mended, object, name).is_some()
            }
            (None, _) => false,
        };
        if is_replaced {
            // What is inside goes with it.
            self.kept.retain(|kept| !is_inside(kept, path));
            self.missing.retain(|missing| !is_inside(missing, path));
            self.refused.retain(|refused| !is_inside(refused, path));
            self.kept.push(path.to_vec());
        }
        is_replaced
    }
}

fn is_inside(path: &[Step], outer: &[Step]) -> bool {
    path.len() > outer.len() && json::same_place(&path[..outer.len()], outer)
}
