//! Places in JSON, and when two values are the same.

use std::fmt;

use serde_json::Value;

/// One step on the way to a part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a struct, or a variant of an enum: a name that the app's code has.
    Field(String),
    /// A key of a map, which may be what a user has typed.
    Key(String),
    /// A place in an array.
    Index(usize),
}

impl Step {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Field(name) | Self::Key(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

/// The way to a part of a value.
pub(super) type Path = Vec<Step>;

/// Whether both lead to the same part.
pub(super) fn same_place(left: &[Step], right: &[Step]) -> bool {
    let same_step = |(left, right): (&Step, &Step)| match (left, right) {
        (Step::Index(left), Step::Index(right)) => left == right,
        (left, right) => left.name().is_some() && left.name() == right.name(),
    };
    left.len() == right.len() && left.iter().zip(right).all(same_step)
}

/// A path as a log shows it: `step.street`. The keys of maps are data, and stand as `*`.
pub(super) struct Shown<'a>(pub &'a [Step]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(all)");
        }
        for (number, step) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Field(name) => f.write_str(name)?,
                Step::Key(_) => f.write_str("*")?,
                Step::Index(index) => write!(f, "{index}")?,
            }
        }
        Ok(())
    }
}

/// The part to which a path leads.
pub(super) fn at<'a>(json: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Field(name) | Step::Key(name) => json.as_object()?.get(name),
        Step::Index(index) => json.as_array()?.get(*index),
    })
}

/// The part to which a path leads, to be changed.
pub(super) fn at_mut<'a>(json: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Field(name) | Step::Key(name) => json.as_object_mut()?.get_mut(name),
        Step::Index(index) => json.as_array_mut()?.get_mut(*index),
    })
}

/// Puts a value into the object to which a path leads; `false` if there is none.
pub(super) fn put(json: &mut Value, object: &[Step], name: &str, value: Value) -> bool {
    let object = at_mut(json, object).and_then(Value::as_object_mut);
    object.map(|object| object.insert(name.to_owned(), value)).is_some()
}

/// Takes a value out of the object to which a path leads.
pub(super) fn take(json: &mut Value, object: &[Step], name: &str) -> Option<Value> {
    at_mut(json, object)?.as_object_mut()?.remove(name)
}

/// Whether two values are written alike: also 0.0 and -0.0 are two.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            let other = |name: &String| right.get(name);
            left.len() == right.len()
                && left.iter().all(|(name, a)| other(name).is_some_and(|b| same(a, b)))
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right && (!left.is_f64() || left.to_string() == right.to_string())
        }
        (left, right) => left == right,
    }
}

/// Whether two values are of the same data: a set of Rust's is written in another order each time.
pub(super) fn same_data(left: &Value, right: &Value) -> bool {
    same(left, right) || same(&sorted(left), &sorted(right))
}

/// A value whose arrays are in the order of their texts.
fn sorted(json: &Value) -> Value {
    match json {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        leaf => leaf.clone(),
    }
}

/// Whether there is a null anywhere.
pub(super) fn has_null(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}
