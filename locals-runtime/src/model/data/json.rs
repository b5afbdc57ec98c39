//! Paths into JSON values, and comparison of JSON values.

use std::fmt;

use serde_json::Value;

/// One step of a path to a part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a struct or a variant of an enum: a name from the app's code.
    Field(String),
    /// A key of a map. It may be user input.
    Key(String),
    /// An index of an array.
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

/// The path to a part of a value.
pub(super) type Path = Vec<Step>;

/// Whether both paths lead to the same part.
pub(super) fn is_same_path(left: &[Step], right: &[Step]) -> bool {
    let same_step = |(left, right): (&Step, &Step)| match (left, right) {
        (Step::Index(left), Step::Index(right)) => left == right,
        (left, right) => left.name().is_some() && left.name() == right.name(),
    };
    left.len() == right.len() && left.iter().zip(right).all(same_step)
}

/// A path as it is shown in a log: `step.street`. Keys of maps may be user input and are shown as `*`.
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

/// Returns the part at a path.
pub(super) fn at<'a>(json: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Field(name) | Step::Key(name) => json.as_object()?.get(name),
        Step::Index(index) => json.as_array()?.get(*index),
    })
}

/// Returns the part at a path, mutably.
pub(super) fn at_mut<'a>(json: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Field(name) | Step::Key(name) => json.as_object_mut()?.get_mut(name),
        Step::Index(index) => json.as_array_mut()?.get_mut(*index),
    })
}

/// Inserts a value into the object at a path. Returns `false` if there is no such object.
pub(super) fn put(json: &mut Value, object: &[Step], name: &str, value: Value) -> bool {
    let object = at_mut(json, object).and_then(Value::as_object_mut);
    object.map(|object| object.insert(name.to_owned(), value)).is_some()
}

/// Removes a value from the object at a path, and returns it.
pub(super) fn take(json: &mut Value, object: &[Step], name: &str) -> Option<Value> {
    at_mut(json, object)?.as_object_mut()?.remove(name)
}

/// Whether two values are written identically. 0.0 and -0.0 differ.
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

/// Whether two values are the same except for the order of arrays: a Rust set is written in a different
/// order each time.
pub(super) fn same_data(left: &Value, right: &Value) -> bool {
    same(left, right) || same(&sorted(left), &sorted(right))
}

/// Returns the value with all arrays sorted by the text of their items.
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

/// Whether the value contains a null at any depth.
pub(super) fn has_null(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}
