//! What is stored after a change: the stored form, with what the app has changed in it.

use std::{cell::Cell, marker::PhantomData};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    json::{self, Path, Step},
    mend::Stored,
    part,
};

/// How many names are tried to find the one under which a field is stored.
const MOST_NAMES: usize = 64;

/// How often the whole is read for one write at most to find such names. What is not found then is caught
/// where the result is read once more.
const MOST_READINGS: usize = 512;

/// The stored form with the difference between what its type made of it before a change and after.
///
/// What the app did not change stays as it was stored, under the name under which it was.
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

/// What the type has written, and beside it the fields of the stored form that it does not have.
pub(super) fn beside_foreign(stored: &Stored, before: &Value, after: &Value) -> Value {
    let (Value::Object(all), Value::Object(before), Value::Object(after)) =
        (&stored.mended, before, after)
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
    /// How often the whole was read.
    readings: Cell<usize>,
    of: PhantomData<fn() -> D>,
}

impl<D: DeserializeOwned> Merge<D> {
    /// Changes one part.
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
                self.take_away(path, &foreign, name, value);
            }
            for (name, value) in after {
                let old = before.get(name);
                if old.is_none_or(|old| !json::same(old, value)) {
                    self.put(path, before, &foreign, name, value);
                }
            }
            return;
        }
        for json in [&mut self.stored.json, &mut self.stored.mended] {
            if let Some(part) = json::at_mut(json, path) {
                *part = after.clone();
            }
        }
    }

    /// What is stored of an object beside the fields that its type has written: old names, and what the
    /// type does not know or cannot read.
    fn foreign(&self, object: &Path, before: &Fields) -> Vec<String> {
        let fields = json::at(&self.stored.json, object).and_then(Value::as_object);
        let names = fields.into_iter().flat_map(|fields| fields.keys());
        names.filter(|name| !before.contains_key(*name)).cloned().collect()
    }

    /// Takes a field away, whatever its name is in the stored form.
    fn take_away(&mut self, object: &Path, foreign: &[String], name: &str, value: &Value) {
        while let Some(alias) = self.alias(object, foreign, name, value) {
            self.remove(object, &alias);
        }
        self.remove(object, name);
    }

    /// Puts a field where it is, or in the place of the one that has its old name.
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
        // What cannot be read is replaced, and anything else is changed where it has changed.
        let is_kept = self.stored.is_kept(&place);
        match (before.get(name), part) {
            (Some(old), Some((stored, mended))) if !is_kept => {
                json::put(&mut self.stored.json, object, name, stored);
                json::put(&mut self.stored.mended, object, name, mended);
                object.push(Step::Field(name.to_owned()));
                self.change(object, old, value);
                object.pop();
            }
            _ => {
                json::put(&mut self.stored.json, object, name, value.clone());
                json::put(&mut self.stored.mended, object, name, value.clone());
            }
        }
    }

    /// A part as it is stored, and as it can be read.
    fn part(&self, path: &[Step]) -> Option<(Value, Value)> {
        let stored = json::at(&self.stored.json, path)?.clone();
        let mended = json::at(&self.stored.mended, path).unwrap_or(&stored).clone();
        Some((stored, mended))
    }

    fn remove(&mut self, object: &Path, name: &str) -> Option<Value> {
        json::take(&mut self.stored.mended, object, name);
        json::take(&mut self.stored.json, object, name)
    }

    /// Another name under which a field is stored: one that the type reads as this field too, so that
    /// it finds it twice where both are there.
    fn alias(
        &self,
        object: &Path,
        foreign: &[String],
        name: &str,
        value: &Value,
    ) -> Option<String> {
        // Before anything is copied: as a rule there are none, and a map may have thousands of keys.
        if foreign.is_empty() || self.readings.get() >= MOST_READINGS {
            return None;
        }
        let fields = json::at(&self.stored.json, object)?.as_object()?;
        let is_twice = |json: &Value| {
            self.readings.set(self.readings.get() + 1);
            part::first_fault::<D>(json).is_some_and(|fault| fault.is_twice(name, object))
        };
        let mut with = self.stored.mended.clone();
        json::put(&mut with, object, name, value.clone());
        let is_read = !fields.contains_key(name) && is_twice(&with);
        let others = foreign.iter().filter(|other| {
            let is_candidate = is_read || self.stored.is_kept(&child(object, other));
            is_candidate && *other != name && fields.contains_key(*other)
        });
        for other in others.take(MOST_NAMES) {
            if self.readings.get() >= MOST_READINGS {
                return None;
            }
            let mut alone = with.clone();
            json::take(&mut alone, object, other);
            let mut both = alone.clone();
            json::put(&mut both, object, other, value.clone());
            if !is_twice(&alone) && is_twice(&both) {
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
