//! Merges a change of the app into the stored JSON.

use std::{cell::Cell, marker::PhantomData};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    json::{self, Path, Step},
    part,
    repair::Stored,
};

/// The maximum number of names that are tried to find the one under which a field is stored.
const MAX_NAMES: usize = 64;

/// The maximum number of times that the whole value is deserialized to find such names during one write.
/// If the limit is reached, the final check, which reads the result back, catches what was missed.
const MAX_READINGS: usize = 512;

/// Returns the stored JSON with the difference between `before` and `after` applied: the data as their
/// type wrote them before and after a change.
///
/// Parts that the app did not change stay as they were stored, under their stored names.
pub(super) fn beside<D: DeserializeOwned>(
    mut stored: Stored,
    before: &Value,
    after: &Value,
) -> Value {
    for path in std::mem::take(&mut stored.refused) {
        if let Some((Step::Field(name) | Step::Key(name), object)) = path.split_last() {
            json::take(&mut stored.json, object, name);
        }
    }
    let mut merge = Merge::<D> { stored, readings: Cell::new(0), of: PhantomData };
    merge.change(&mut Path::new(), before, after);
    merge.stored.json
}

/// Returns the changed data together with the top-level stored fields that the type does not have.
pub(super) fn beside_foreign(stored: &Stored, before: &Value, after: &Value) -> Value {
    let (Value::Object(all), Value::Object(before), Value::Object(after)) =
        (&stored.repaired, before, after)
    else {
        return after.clone();
    };
    let foreign = all.iter().filter(|(name, _)| !before.contains_key(*name));
    let mut both: serde_json::Map<_, _> =
        foreign.map(|(name, value)| (name.clone(), value.clone())).collect();
    both.extend(after.clone());
    Value::Object(both)
}

struct Merge<D> {
    stored: Stored,
    /// How often the whole value was deserialized.
    readings: Cell<usize>,
    of: PhantomData<fn() -> D>,
}

impl<D: DeserializeOwned> Merge<D> {
    /// Applies the change of one part.
    fn change(&mut self, path: &mut Path, before: &Value, after: &Value) {
        if json::same(before, after) {
            return;
        }
        let is_object = json::at(&self.stored.json, path).is_some_and(Value::is_object);
        if let (Value::Object(before), Value::Object(after)) = (before, after)
            && is_object
            && !self.stored.is_kept(path)
        {
            let foreign = self.foreign(path, before);
            for (name, value) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
                self.remove_field(path, &foreign, name, value);
            }
            for (name, value) in after {
                let old = before.get(name);
                if old.is_none_or(|old| !json::same(old, value)) {
                    self.put(path, before, &foreign, name, value);
                }
            }
            return;
        }
        for json in [&mut self.stored.json, &mut self.stored.repaired] {
            if let Some(part) = json::at_mut(json, path) {
                *part = after.clone();
            }
        }
    }

    /// Returns the stored fields of an object that its type has not written: old names, and fields that the
    /// type does not know or cannot read.
    fn foreign(&self, object: &Path, before: &Fields) -> Vec<String> {
        let fields = json::at(&self.stored.json, object).and_then(Value::as_object);
        let names = fields.into_iter().flat_map(|fields| fields.keys());
        names.filter(|name| !before.contains_key(*name)).cloned().collect()
    }

    /// Removes a field, under its own name and its old names.
    fn remove_field(&mut self, object: &Path, foreign: &[String], name: &str, value: &Value) {
        while let Some(alias) = self.alias(object, foreign, name, value) {
            self.remove(object, &alias);
        }
        self.remove(object, name);
    }

    /// Writes a field under its own name, and removes it under its old names.
    fn put(
        &mut self,
        object: &mut Path,
        before: &Fields,
        foreign: &[String],
        name: &str,
        value: &Value,
    ) {
        let probe = before.get(name).unwrap_or(value);
        let mut place = child(object, name);
        let mut part = self.part(&place);
        while let Some(alias) = self.alias(object, foreign, name, probe) {
            if part.is_none() {
                place = child(object, &alias);
                part = self.part(&place);
            }
            self.remove(object, &alias);
        }
        // An unreadable part is replaced as a whole; in a readable one only what has changed.
        let is_kept = self.stored.is_kept(&place);
        match (before.get(name), part) {
            (Some(old), Some((stored, repaired))) if !is_kept => {
                json::put(&mut self.stored.json, object, name, stored);
                json::put(&mut self.stored.repaired, object, name, repaired);
                object.push(Step::Field(name.to_owned()));
                self.change(object, old, value);
                object.pop();
            }
            _ => {
                json::put(&mut self.stored.json, object, name, value.clone());
                json::put(&mut self.stored.repaired, object, name, value.clone());
            }
        }
    }

    /// Returns a part in its stored and in its repaired form.
    fn part(&self, path: &[Step]) -> Option<(Value, Value)> {
        let stored = json::at(&self.stored.json, path)?.clone();
        let repaired = json::at(&self.stored.repaired, path).unwrap_or(&stored).clone();
        Some((stored, repaired))
    }

    fn remove(&mut self, object: &Path, name: &str) -> Option<Value> {
        json::take(&mut self.stored.repaired, object, name);
        json::take(&mut self.stored.json, object, name)
    }

    /// Returns another name under which a field is stored: one that the type reads as the same field, so
    /// that both names together are a duplicate.
    fn alias(
        &self,
        object: &Path,
        foreign: &[String],
        name: &str,
        value: &Value,
    ) -> Option<String> {
        // Checked before anything is copied: usually there are none, and a map may have thousands of keys.
        if foreign.is_empty() || self.readings.get() >= MAX_READINGS {
            return None;
        }
        let fields = json::at(&self.stored.json, object)?.as_object()?;
        let is_duplicate = |json: &Value| {
            self.readings.set(self.readings.get() + 1);
            part::first_fault::<D>(json).is_some_and(|fault| fault.is_duplicate(name, object))
        };
        let mut with = self.stored.repaired.clone();
        json::put(&mut with, object, name, value.clone());
        let is_read = !fields.contains_key(name) && is_duplicate(&with);
        let others = foreign.iter().filter(|other| {
            let is_candidate = is_read || self.stored.is_kept(&child(object, other));
            is_candidate && *other != name && fields.contains_key(*other)
        });
        for other in others.take(MAX_NAMES) {
            if self.readings.get() >= MAX_READINGS {
                return None;
            }
            let mut alone = with.clone();
            json::take(&mut alone, object, other);
            let mut both = alone.clone();
            json::put(&mut both, object, other, value.clone());
            if !is_duplicate(&alone) && is_duplicate(&both) {
                return Some(other.clone());
            }
        }
        None
    }
}

type Fields = serde_json::Map<String, Value>;

fn child(object: &[Step], name: &str) -> Path {
    let mut path = object.to_vec();
    path.push(Step::Field(name.to_owned()));
    path
}
