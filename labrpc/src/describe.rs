//! The messages of any Raft in readable form: a small tree of the value that serde sees, with the names of its fields.
//!
//! The trace keeps RPC arguments, replies and saved values in this form. The trace prints them
//! (`AppendEntries { term: 3, entries: [2 items] }`), and checks can find fields by name.

use serde::ser::{self, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// A described value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `()`, a unit struct, a unit variant or `None`, with its name.
    Unit(&'static str),
    /// A `bool`.
    Bool(bool),
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// A `char` or string.
    Text(String),
    /// Bytes of a type that serializes them as bytes (see [`Command`](crate::api::Command)). For serde, a `Vec<u8>` is a `List` of
    /// numbers.
    Bytes(SmallVec<[u8; 24]>),
    /// A sequence or tuple.
    List(Vec<Value>),
    /// A sequence of which only the length was kept.
    Many(usize),
    /// A map, in its iteration order.
    Map(Vec<(Value, Value)>),
    /// A struct, or a struct-like enum variant.
    Struct(&'static str, Vec<(&'static str, Value)>),
    /// `Some(..)`, a newtype, or an enum variant that holds values.
    Tagged(&'static str, Box<Value>),
}

impl Value {
    /// Describes `value`. If serde can't serialize it, the description is serde's error text.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Value {
        Describe { brief: false }.describe(value)
    }

    /// Like [`Value::of`], but of a list with more than two items only the length is kept. A saved state contains the log, and it
    /// is saved again and again.
    pub fn brief<T: Serialize + ?Sized>(value: &T) -> Value {
        Describe { brief: true }.describe(value)
    }

    /// The field `name` of a struct. Also looks inside newtypes and `Some`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(_, fields) => fields.iter().find(|f| f.0 == name).map(|f| &f.1),
            Value::Tagged(_, inner) => inner.field(name),
            _ => None,
        }
    }

    /// This value as a `u64`, if it is a number that fits.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            Value::Tagged(_, inner) => inner.as_u64(),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unit(name) => f.write_str(name),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Unsigned(n) => write!(f, "{n}"),
            Value::Signed(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Bytes(bytes) => write_bytes(f, bytes),
            Value::List(items) => write_list(f, items),
            Value::Many(len) => write!(f, "[{len} items]"),
            Value::Map(pairs) => write!(f, "{{{} keys}}", pairs.len()),
            Value::Struct(name, fields) => {
                write!(f, "{name} {{")?;
                for (i, (field, value)) in fields.iter().enumerate() {
                    write!(f, "{} {field}: {value}", if i == 0 { "" } else { "," })?;
                }
                f.write_str(" }")
            }
            Value::Tagged("Some", inner) => write!(f, "{inner}"),
            Value::Tagged(name, inner) => write!(f, "{name}({inner})"),
        }
    }
}

/// Writes short bytes in full, as text if they are readable. Of long bytes, writes only the length.
fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    if !bytes.is_empty() && bytes.len() <= 12 && bytes.iter().all(u8::is_ascii_graphic) {
        return write!(f, "{:?}", String::from_utf8_lossy(bytes));
    }
    if bytes.len() > 12 {
        return write!(f, "<{} bytes>", bytes.len());
    }
    f.write_str("0x")?;
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

/// Lists with more items than this are not shown item by item.
const SHORT: usize = 2;

/// Writes short lists in full. Of long lists, writes only the length, because a log of a thousand entries would hide the rest of
/// the line.
fn write_list(f: &mut fmt::Formatter<'_>, items: &[Value]) -> fmt::Result {
    if items.len() > SHORT {
        return write!(f, "[{} items]", items.len());
    }
    f.write_str("[")?;
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str("]")
}

/// How to describe.
#[derive(Clone, Copy)]
struct Describe {
    brief: bool,
}

impl Describe {
    fn describe<T: Serialize + ?Sized>(self, value: &T) -> Value {
        value.serialize(self).unwrap_or_else(|error| Value::Text(error.0))
    }
}

#[derive(Debug)]
struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Error(text.to_string())
    }
}

/// Makes a serializer method for each primitive type.
macro_rules! primitive {
    ($($method:ident($type:ty) => $make:expr;)*) => {
        $(fn $method(self, v: $type) -> Result<Value, Error> {
            #[allow(clippy::redundant_closure_call, reason = "the closure is the macro's argument")]
            Ok(($make)(v))
        })*
    };
}

impl ser::Serializer for Describe {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Pairs;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    primitive! {
        serialize_bool(bool) => Value::Bool;
        serialize_i8(i8) => |v| Value::Signed(i64::from(v));
        serialize_i16(i16) => |v| Value::Signed(i64::from(v));
        serialize_i32(i32) => |v| Value::Signed(i64::from(v));
        serialize_i64(i64) => Value::Signed;
        serialize_u8(u8) => |v| Value::Unsigned(u64::from(v));
        serialize_u16(u16) => |v| Value::Unsigned(u64::from(v));
        serialize_u32(u32) => |v| Value::Unsigned(u64::from(v));
        serialize_u64(u64) => Value::Unsigned;
        serialize_f32(f32) => |v| Value::Float(f64::from(v));
        serialize_f64(f64) => Value::Float;
        serialize_char(char) => |v: char| Value::Text(v.to_string());
        serialize_str(&str) => |v: &str| Value::Text(v.to_string());
        serialize_bytes(&[u8]) => |v: &[u8]| Value::Bytes(v.into());
    }

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Unit("None"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        Ok(Value::Tagged("Some", Box::new(value.serialize(self)?)))
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Unit("()"))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Value, Error> {
        Ok(Value::Unit(name))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Error> {
        Ok(Value::Unit(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(Value::Tagged(variant, Box::new(value.serialize(self)?)))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items, Error> {
        Ok(Items::new(self, None, len.unwrap_or(0)))
    }

    fn serialize_tuple(self, len: usize) -> Result<Items, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items, Error> {
        Ok(Items::new(self, Some(variant), len))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Pairs, Error> {
        Ok(Pairs { how: self, key: None, pairs: Vec::new() })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields, Error> {
        Ok(Fields { how: self, name, fields: Vec::with_capacity(len) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields, Error> {
        self.serialize_struct(variant, len)
    }
}

struct Items {
    how: Describe,
    len: usize,
    tag: Option<&'static str>,
    items: Vec<Value>,
}

impl Items {
    fn new(how: Describe, tag: Option<&'static str>, len: usize) -> Items {
        let items = Vec::with_capacity(if how.brief { len.min(SHORT) } else { len });
        Items { how, len: 0, tag, items }
    }

    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.len += 1;
        if !self.how.brief || self.len <= SHORT {
            self.items.push(value.serialize(self.how)?);
        }
        Ok(())
    }

    fn finish(self) -> Result<Value, Error> {
        let whole = self.items.len() == self.len;
        let list = if whole { Value::List(self.items) } else { Value::Many(self.len) };
        Ok(match self.tag {
            Some(tag) => Value::Tagged(tag, Box::new(list)),
            None => list,
        })
    }
}

/// Implements serde's four traits for sequences, which need the same code here.
macro_rules! items {
    ($($trait:ident::$method:ident),*) => {
        $(impl ser::$trait for Items {
            type Ok = Value;
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.add(value)
            }
            fn end(self) -> Result<Value, Error> {
                self.finish()
            }
        })*
    };
}

items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}

struct Pairs {
    how: Describe,
    key: Option<Value>,
    pairs: Vec<(Value, Value)>,
}

impl ser::SerializeMap for Pairs {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(key.serialize(self.how)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().ok_or_else(|| Error("a map value without its key".into()))?;
        self.pairs.push((key, value.serialize(self.how)?));
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::Map(self.pairs))
    }
}

struct Fields {
    how: Describe,
    name: &'static str,
    fields: Vec<(&'static str, Value)>,
}

/// Like `items!`, for structs and struct-like variants.
macro_rules! fields {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Fields {
            type Ok = Value;
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.fields.push((key, value.serialize(self.how)?));
                Ok(())
            }
            fn end(self) -> Result<Value, Error> {
                Ok(Value::Struct(self.name, self.fields))
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests;
