//! Single changes of a message: what another programmer may have written instead.

use labrpc::describe::Value;

/// A change of one message, or of one field in it.
#[derive(Clone, Debug)]
pub enum Change {
    /// Renames the field.
    Rename(&'static str, &'static str),
    /// Removes the field.
    Drop(&'static str),
    /// Puts the field into a struct of its own, under this name.
    Nest(&'static str, &'static str),
    /// Puts all fields into a struct of their own, under this name.
    NestAll(&'static str),
    /// Reverses the order of the fields.
    Reverse,
    /// Removes the names of the fields.
    Tuple,
    /// Makes the message a variant of an enum, with this name.
    Variant(&'static str),
    /// Makes the message a variant whose fields have no names.
    TupleVariant(&'static str),
    /// Changes the name of the method, or of the kind of record.
    Method(&'static str),
    /// Renames the field in each entry.
    RenameInEntries(&'static str, &'static str),
    /// Removes the names of the fields in each entry.
    TupleEntries,
    /// Adds this to a number.
    Add(&'static str, i64),
    /// Subtracts one from a number; `None` becomes -1.
    MinusOne(&'static str),
    /// Subtracts one from a number with wrapping; `None` becomes 0 - 1.
    Wrapped(&'static str),
    /// Makes a number signed; `None` becomes -1.
    Signed(&'static str),
    /// Inverts a `bool`.
    Invert(&'static str),
    /// Makes a `bool` the number of a server plus 1, or 0 for no server.
    Number(&'static str),
    /// Counts servers from 1, with 0 for no server.
    CountFromOne(&'static str),
    /// Gives the field the value of another field, whose name may be a path of two: `conflict.term`.
    Is(&'static str, &'static str),
    /// Makes the field true wherever the other field has a value, too.
    YesWith(&'static str, &'static str),
    /// Adds to each entry a list whose length differs from message to message.
    Vary(&'static str),
    /// Counts all indices from the server's snapshot on.
    Relative(&'static [&'static str]),
}

impl Change {
    /// Applies the change. `base`: where the server's log begins.
    pub fn apply(&self, method: &mut String, value: Value, base: u64) -> Value {
        match self {
            Change::Rename(from, to) => map_fields(value, &|fields| rename(fields, from, to)),
            Change::Drop(name) => map_fields(value, &|mut fields| {
                fields.retain(|(other, _)| other != name);
                fields
            }),
            Change::Nest(name, under) => map_fields(value, &|fields| {
                let (inner, mut outer): (Vec<_>, Vec<_>) =
                    fields.into_iter().partition(|(other, _)| other == name);
                if !inner.is_empty() {
                    outer.push((under, Value::Struct("Inner", inner)));
                }
                outer
            }),
            Change::NestAll(under) => {
                map_fields(value, &|fields| vec![(under, Value::Struct("Inner", fields))])
            }
            Change::Reverse => map_fields(value, &|mut fields| {
                fields.reverse();
                fields
            }),
            Change::Tuple => tuple(value),
            Change::Variant(name) => match value {
                Value::Struct(_, fields) => Value::Struct(name, fields),
                other => other,
            },
            Change::TupleVariant(name) => Value::Tagged(name, Box::new(tuple(value))),
            Change::Method(name) => {
                *method = (*name).to_string();
                value
            }
            Change::RenameInEntries(from, to) => {
                in_entries(value, &|entry| map_fields(entry, &|fields| rename(fields, from, to)))
            }
            Change::TupleEntries => in_entries(value, &tuple),
            Change::Add(name, more) => at(value, name, &|old| match old.as_u64() {
                Some(n) => Value::Unsigned(n.saturating_add_signed(*more)),
                None => old,
            }),
            Change::MinusOne(name) => at(value, name, &|old| signed(&old, 1)),
            Change::Wrapped(name) => at(value, name, &|old| {
                Value::Unsigned(old.as_u64().unwrap_or_default().wrapping_sub(1))
            }),
            Change::Signed(name) => at(value, name, &|old| signed(&old, 0)),
            Change::Invert(name) => at(value, name, &|old| match old {
                Value::Bool(yes) => Value::Bool(!yes),
                other => other,
            }),
            Change::Number(name) => {
                at(value, name, &|old| Value::Unsigned(u64::from(old == Value::Bool(true))))
            }
            Change::CountFromOne(name) => {
                at(value, name, &|old| Value::Unsigned(old.as_u64().map_or(0, |n| n + 1)))
            }
            Change::Is(name, other) => {
                let taken = look_up(&value, other).cloned().unwrap_or(Value::Unsigned(0));
                at(value, name, &|_| match &taken {
                    Value::Unit(_) => Value::Unsigned(0),
                    other => other.clone(),
                })
            }
            Change::YesWith(name, other) => {
                let more = match look_up(&value, other) {
                    Some(Value::Unit(_)) | None => false,
                    Some(other) => other.as_u64() != Some(0),
                };
                at(value, name, &|old| match old {
                    Value::Bool(yes) => Value::Bool(yes || more),
                    other => other,
                })
            }
            Change::Vary(name) => {
                let commit = value.field("leader_commit").and_then(Value::as_u64).unwrap_or(0);
                let list = Value::List((0..commit % 3).map(Value::Unsigned).collect());
                in_entries(value, &|entry| {
                    map_fields(entry, &|mut fields| {
                        fields.push((name, list.clone()));
                        fields
                    })
                })
            }
            Change::Relative(names) => names.iter().fold(value, |value, name| {
                at(value, name, &|old| {
                    Value::Unsigned(old.as_u64().unwrap_or(0).saturating_sub(base))
                })
            }),
        }
    }
}

type Fields = Vec<(&'static str, Value)>;

/// Changes the fields of a struct, including a struct in a variant.
fn map_fields(value: Value, change: &dyn Fn(Fields) -> Fields) -> Value {
    match value {
        Value::Struct(name, fields) => Value::Struct(name, change(fields)),
        Value::Tagged(name, inner) => Value::Tagged(name, Box::new(map_fields(*inner, change))),
        other => other,
    }
}

fn rename(mut fields: Fields, from: &str, to: &'static str) -> Fields {
    fields.iter_mut().filter(|(name, _)| *name == from).for_each(|(name, _)| *name = to);
    fields
}

/// Changes one field.
fn at(value: Value, name: &str, change: &dyn Fn(Value) -> Value) -> Value {
    map_fields(value, &|fields| {
        fields.into_iter().map(|(n, v)| if n == name { (n, change(v)) } else { (n, v) }).collect()
    })
}

fn tuple(value: Value) -> Value {
    match value {
        Value::Struct(_, fields) => {
            Value::List(fields.into_iter().map(|(_, value)| value).collect())
        }
        Value::Tagged(name, inner) => Value::Tagged(name, Box::new(tuple(*inner))),
        other => other,
    }
}

fn in_entries(value: Value, change: &dyn Fn(Value) -> Value) -> Value {
    at(value, "entries", &|entries| match entries {
        Value::List(items) => Value::List(items.into_iter().map(change).collect()),
        other => other,
    })
}

/// A signed number, reduced by this much; -1 for `None`.
fn signed(value: &Value, less: i64) -> Value {
    Value::Signed(value.as_u64().map_or(-1, |n| n as i64 - less))
}

fn look_up<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((first, rest)) => look_up(value.field(first)?, rest),
        None => value.field(path),
    }
}
