//! Finds the first part of a JSON value that its type cannot read.
//!
//! The errors of `serde_json` are only text and do not name the part. This deserializer reads the same
//! values in the same way; it is used only after `serde_json` has failed.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize,
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
        VariantAccess, Visitor, value::BorrowedStrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value, map};

use super::json::{Path, Step, is_same_path};

/// Returns the first part that cannot be read; `None` if there is none.
pub(super) fn first_fault<D: DeserializeOwned>(json: &Value) -> Option<Fault> {
    let mut fault = D::deserialize(Part { json, untyped: None }).err()?;
    fault.path.reverse();
    Some(fault)
}

/// A part that cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// The path to the part; in reverse order while the fault is returned from the inside to the outside.
    pub path: Path,
    pub kind: Kind,
    /// How the type deserialized the part.
    pub asked: Asked,
    /// The fields of the part that were deserialized directly as their own types, and not buffered first,
    /// as those of a flattened part are.
    pub direct: Vec<String>,
    is_located: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A missing field.
    Missing(&'static str),
    /// A field that is present twice, under its name and an alias.
    Duplicate(&'static str),
    /// A key that the type refuses. It is the last step of the path.
    Key,
    Other,
}

/// As what a type deserializes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// As a struct.
    Struct,
    /// As a map, or a struct with a flattened part.
    Map,
    /// As any value: an untagged or an internally tagged enum.
    Untyped,
}

impl Fault {
    fn of(kind: Kind) -> Self {
        let (path, direct) = (Vec::new(), Vec::new());
        Self { path, kind, asked: Asked::Struct, direct, is_located: false }
    }

    /// Whether the fault is a duplicate of this field of this object.
    pub(super) fn is_duplicate(&self, name: &str, object: &[Step]) -> bool {
        matches!(self.kind, Kind::Duplicate(field) if field == name)
            && is_same_path(&self.path, object)
    }

    /// Returns the fault of the whole top-level field that contains it.
    pub(super) fn of_outermost(mut self) -> Self {
        if self.path.len() > 1 {
            self.path.truncate(1);
            (self.kind, self.asked) = (Kind::Other, Asked::Struct);
        }
        self
    }

    /// Marks the fault as located in this part, unless it is inside of it.
    fn located(mut self, asked: Asked, direct: impl FnOnce() -> Vec<String>) -> Self {
        if !self.is_located && self.path.is_empty() {
            (self.asked, self.direct, self.is_located) = (asked, direct(), true);
        }
        self
    }

    /// Prepends a step to the path.
    fn within(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    fn key(step: Step, asked: Asked) -> Self {
        let fault = Self { asked, is_located: true, ..Self::of(Kind::Key) };
        fault.within(step)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part cannot be read")
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::of(Kind::Other)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of(Kind::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of(Kind::Duplicate(field))
    }
}

/// A part of the JSON.
struct Part<'a, 'b> {
    json: &'a Value,
    /// Set if the part is deserialized as any value.
    untyped: Option<&'b Cell<bool>>,
}

impl<'de> Part<'de, '_> {
    fn read<V: Visitor<'de>>(self, visitor: V, asked: Asked) -> Result<V::Value, Fault> {
        match self.json {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().ok_or_else(|| Fault::of(Kind::Other))?)
                }
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => read_items(items, visitor),
            Value::Object(fields) => read_fields(fields, visitor, asked),
        }
    }
}

fn read_items<'de, V: Visitor<'de>>(items: &'de [Value], visitor: V) -> Result<V::Value, Fault> {
    let mut access = Items { items: items.iter().enumerate() };
    let read = visitor.visit_seq(&mut access)?;
    // A tuple reads only its own length; further items are an error.
    if access.items.len() == 0 { Ok(read) } else { Err(Fault::of(Kind::Other)) }
}

fn read_fields<'de, V: Visitor<'de>>(
    fields: &'de Map<String, Value>,
    visitor: V,
    asked: Asked,
) -> Result<V::Value, Fault> {
    let untyped = Cell::new(false);
    let mut access = Fields {
        entries: fields.iter(),
        value: None,
        asked,
        untyped: &untyped,
        direct: Vec::new(),
    };
    let read = visitor.visit_map(&mut access);
    let direct = access.direct;
    let fault = match read {
        Ok(read) if access.entries.len() == 0 => return Ok(read),
        Ok(_) => Fault::of(Kind::Other),
        Err(fault) => fault,
    };
    Err(fault.located(asked, || direct))
}

macro_rules! self_describing {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.read(visitor, Asked::Struct)
        }
    )*};
}

impl<'de> Deserializer<'de> for Part<'de, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let Some(untyped) = self.untyped {
            untyped.set(true);
        }
        self.read(visitor, Asked::Untyped)
    }

    self_describing! {
        deserialize_bool deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq
        deserialize_identifier
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.json.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(visitor, Asked::Struct)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.read(visitor, Asked::Struct)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(visitor, Asked::Struct)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(visitor, Asked::Map)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(visitor, Asked::Struct)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.json {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(object) if object.len() == 1 => {
                let (name, content) = object.iter().next().ok_or_else(|| Fault::of(Kind::Other))?;
                visitor.visit_enum(Variant { name, content: Some(content) })
            }
            _ => Err(Fault::of(Kind::Other)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}

/// The items of an array.
struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some((index, json)) = self.items.next() else { return Ok(None) };
        let read = seed.deserialize(Part { json, untyped: None });
        read.map(Some).map_err(|fault| fault.within(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The fields of an object.
struct Fields<'a, 'b> {
    entries: map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
    asked: Asked,
    untyped: &'b Cell<bool>,
    direct: Vec<String>,
}

impl Fields<'_, '_> {
    /// Returns the step to the value of a key.
    fn step(&self, key: &str) -> Step {
        match self.asked {
            Asked::Struct => Step::Field(key.to_owned()),
            Asked::Map | Asked::Untyped => Step::Key(key.to_owned()),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Fields<'de, '_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        match seed.deserialize(Key(key)) {
            Ok(read) => Ok(Some(read)),
            Err(_) => Err(Fault::key(self.step(key), self.asked)),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((key, json)) = self.value.take() else { return Err(Fault::of(Kind::Other)) };
        self.untyped.set(false);
        let read = seed.deserialize(Part { json, untyped: Some(self.untyped) });
        if !self.untyped.get() {
            self.direct.push(key.to_owned());
        }
        read.map_err(|fault| fault.within(self.step(key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The key of an object. Keys of maps may be numbers, which JSON writes as strings.
struct Key<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident: $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed! {
        deserialize_bool: visit_bool
        deserialize_i8: visit_i8 deserialize_i16: visit_i16
        deserialize_i32: visit_i32 deserialize_i64: visit_i64 deserialize_i128: visit_i128
        deserialize_u8: visit_u8 deserialize_u16: visit_u16
        deserialize_u32: visit_u32 deserialize_u64: visit_u64 deserialize_u128: visit_u128
        deserialize_f32: visit_f32 deserialize_f64: visit_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// A variant of an enum.
struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name = seed.deserialize(BorrowedStrDeserializer::<Fault>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de> Variant<'de> {
    /// Reads the content of the variant.
    fn content<R>(self, read: impl FnOnce(&'de Value) -> Result<R, Fault>) -> Result<R, Fault> {
        let content = self.content.ok_or_else(|| Fault::of(Kind::Other))?;
        read(content).map_err(|fault| fault.within(Step::Field(self.name.to_owned())))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(_) => self.content(|json| <()>::deserialize(Part { json, untyped: None })),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        self.content(|json| seed.deserialize(Part { json, untyped: None }))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content(|json| Part { json, untyped: None }.read(visitor, Asked::Struct))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.content(|json| Part { json, untyped: None }.read(visitor, Asked::Struct))
    }
}
