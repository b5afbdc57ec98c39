//! Finds values that are written as JSON null and would be read back as something else.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// Checks that no non-finite float and no `Some` would be written as null.
///
/// # Errors
/// [`Lost`] says which value would be lost.
pub(super) fn check(data: &impl Serialize) -> Result<(), Lost> {
    data.serialize(Check).map(|_| ())
}

/// The error for a value that would be lost.
#[derive(Debug)]
pub(super) struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

impl serde::ser::Error for Lost {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Whether the value would be written as null.
type IsNull = bool;

/// A serializer that writes nothing and only inspects the values.
struct Check;

impl Check {
    fn float(is_finite: bool) -> Result<IsNull, Lost> {
        if is_finite {
            Ok(false)
        } else {
            Err(Lost("JSON cannot hold infinite floats or NaN".into()))
        }
    }
}

macro_rules! never_null {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, _: $type) -> Result<IsNull, Lost> {
            Ok(false)
        }
    )*};
}

impl Serializer for Check {
    type Ok = IsNull;
    type Error = Lost;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    never_null! {
        serialize_bool: bool, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128,
    }

    fn serialize_f32(self, float: f32) -> Result<IsNull, Lost> {
        Self::float(float.is_finite())
    }

    fn serialize_f64(self, float: f64) -> Result<IsNull, Lost> {
        Self::float(float.is_finite())
    }

    fn serialize_none(self) -> Result<IsNull, Lost> {
        Ok(true)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<IsNull, Lost> {
        if value.serialize(Self)? {
            return Err(Lost(
                "a `Some` whose content is written as null reads back as `None`".into(),
            ));
        }
        Ok(false)
    }

    fn serialize_unit(self) -> Result<IsNull, Lost> {
        Ok(true)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<IsNull, Lost> {
        Ok(true)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<IsNull, Lost> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<IsNull, Lost> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<IsNull, Lost> {
        value.serialize(self).map(|_| false)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Lost> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Lost> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Lost> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Lost> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Lost> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Lost> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Lost> {
        Ok(self)
    }
}

/// Inspects each part of a compound value, which itself is never null.
macro_rules! parts {
    ($($trait:ident: $method:ident($($name:ty)?)),* $(,)?) => {$(
        impl $trait for Check {
            type Ok = IsNull;
            type Error = Lost;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $(_: $name,)?
                value: &T,
            ) -> Result<(), Lost> {
                value.serialize(Self).map(|_| ())
            }

            fn end(self) -> Result<IsNull, Lost> {
                Ok(false)
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(&'static str),
    SerializeStructVariant: serialize_field(&'static str),
}

impl SerializeMap for Check {
    type Ok = IsNull;
    type Error = Lost;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Lost> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Lost> {
        value.serialize(Self).map(|_| ())
    }

    fn end(self) -> Result<IsNull, Lost> {
        Ok(false)
    }
}
