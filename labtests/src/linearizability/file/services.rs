//! Finds the service that has the operations of a file, and translates them into its operations.

use super::raw::{Asked, More, Raw};
use crate::linearizability::{
    Answer, CounterAct, CounterOp, Micro, Output, Outputs, QueueAct, QueueOp, RegisterAct,
    RegisterOp, SetAct, SetOp, TextOp, Transaction, Value, VersionedOp,
};
use clap::ValueEnum;

/// The models that a file can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// The 2022 lab's get, put and append.
    Text,
    /// The 2025 lab's get and versioned put.
    Versioned,
    /// A register, with compare-and-swap.
    Register,
    /// A counter.
    Counter,
    /// A set.
    Set,
    /// A queue.
    Queue,
    /// A small map, with transactions.
    Map,
}

impl Service {
    /// The service that has these operations. `at` describes the place of an operation together with a remark about it.
    ///
    /// # Errors
    /// No service has all of them.
    pub fn of(raw: &[Raw], at: impl Fn(usize, &str) -> String) -> Result<Service, String> {
        let first = |which: &dyn Fn(&Raw) -> bool| raw.iter().position(which);
        let asks = |asked| first(&|raw: &Raw| raw.asked == asked);
        let version = first(&|raw| raw.asked != Asked::Cas && raw.has_version());
        let adds = asks(Asked::Add);
        let has_list = first(&|raw| matches!(raw.output, Some(Value::List(_)))).is_some();
        let told = [
            (version, Service::Versioned, "this operation has a version or a result"),
            (asks(Asked::Txn), Service::Map, "this is a transaction"),
            (
                asks(Asked::Enqueue).or(asks(Asked::Dequeue)),
                Service::Queue,
                "this is an operation of a queue",
            ),
            (
                asks(Asked::Remove).or(adds.filter(|_| has_list)),
                Service::Set,
                "this is an operation of a set",
            ),
            (adds.filter(|_| !has_list), Service::Counter, "this is an operation of a counter"),
            (asks(Asked::Cas), Service::Register, "this is a compare-and-swap"),
            (asks(Asked::Append), Service::Text, "this is an append"),
        ];
        let mut told = told.into_iter().filter_map(|(place, of, what)| Some((place?, of, what)));
        match (told.next(), told.next()) {
            (None, _) => {
                let is_text = |value: &Option<Value>| value.as_ref().is_none_or(Value::is_text);
                let all = raw.iter().all(|raw| is_text(&raw.value) && is_text(&raw.output));
                Ok(if all { Service::Text } else { Service::Register })
            }
            (Some((_, service, _)), None) => Ok(service),
            (Some(one), Some(other)) => {
                let [one, other] = [one, other].map(|(place, _, what)| at(place, what));
                Err(format!(
                    "{one}; and {other}. No service has both; choose the service with --model"
                ))
            }
        }
    }
}

fn in_words(value: Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("expected a text, not {other}; for numbers, use --model register")),
    }
}

/// See [`Service`].
pub fn text(mut raw: Raw, outputs: &mut Outputs) -> Result<TextOp, String> {
    if raw.has_version() {
        return Err("either all operations have versions or none has; this one has".into());
    }
    let key = String::from(std::mem::take(&mut raw.key));
    match raw.asked {
        Asked::Get => {
            let output = match raw.answered()? {
                Some(output) => outputs.keep(&key, &in_words(output)?),
                None => Output::from(""),
            };
            Ok(TextOp::Get { key, output })
        }
        Asked::Put => Ok(TextOp::Put { key, value: in_words(raw.written("a put or append")?)? }),
        Asked::Append => {
            Ok(TextOp::Append { key, value: in_words(raw.written("a put or append")?)? })
        }
        _ => raw.stranger("a text"),
    }
}

/// See [`Service`].
pub fn versioned(mut raw: Raw) -> Result<VersionedOp, String> {
    let key = String::from(std::mem::take(&mut raw.key));
    let More { version, result, .. } = raw.more();
    let result = result.map(|result| match result.as_str() {
        "ok" => Ok(Answer::Ok),
        "version" => Ok(Answer::Version),
        "no_key" => Ok(Answer::NoKey),
        "maybe" => Ok(Answer::Maybe),
        _ => Err(format!(
            "the result {result:?} is not one of \"ok\", \"version\", \"no_key\" or \"maybe\""
        )),
    });
    let result = result.transpose()?;
    let output = raw.output.take().map(in_words).transpose()?;
    let value = raw.value.take().map(in_words).transpose()?;
    match raw.asked {
        Asked::Get => {
            if value.is_some() {
                return Err("a get must not have a \"value\"".into());
            }
            let output = match (raw.ret, output, version, result) {
                (Some(_), Some(output), Some(version), None | Some(Answer::Ok)) => {
                    Some((output, version))
                }
                (Some(_), None, None, Some(Answer::NoKey)) | (None, None, None, None) => None,
                (Some(_), ..) => {
                    let wanted = "must have \"output\" and \"version\", or \"result\":\"no_key\"";
                    return Err(format!("a get that was answered {wanted}"));
                }
                (None, ..) => {
                    return Err("a get that was never answered must not have an output".into());
                }
            };
            Ok(VersionedOp::Get { key, output })
        }
        Asked::Put => {
            let (Some(value), Some(version), None) = (value, version, output) else {
                return Err(
                    "a versioned put must have \"value\" and \"version\", and no \"output\"".into(),
                );
            };
            let answer = match (raw.ret, result) {
                (Some(_), Some(answer)) => answer,
                (None, None) => Answer::Maybe,
                (Some(_), None) => {
                    return Err("a versioned put that was answered must have a \"result\"".into());
                }
                (None, Some(_)) => {
                    return Err("a put that was never answered must not have a \"result\"".into());
                }
            };
            Ok(VersionedOp::Put { key, value, version, answer })
        }
        Asked::Append => Err("a service with versions has no append".into()),
        _ => raw.stranger("a versioned register"),
    }
}

/// See [`Service`].
pub fn register(mut raw: Raw) -> Result<RegisterOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Get => RegisterAct::Read(raw.answered()?.unwrap_or_default()),
        Asked::Put => RegisterAct::Write(raw.written("a put")?),
        Asked::Cas => {
            let More { from, to, result, .. } = raw.more();
            let (Some(from), Some(to)) = (from, to) else {
                return Err("a cas must have \"from\" and \"to\"".into());
            };
            let done = match (raw.ret, result.as_deref()) {
                (Some(_), Some("ok")) => Some(true),
                (Some(_), Some("failed")) => Some(false),
                (Some(_), Some("unknown")) | (None, None | Some("unknown")) => None,
                (None, Some(_)) => {
                    return Err("a cas that was never answered must not have a \"result\"".into());
                }
                (Some(_), _) => {
                    return Err(
                        "the result of a cas must be \"ok\", \"failed\" or \"unknown\"".into()
                    );
                }
            };
            RegisterAct::Cas { from, to, done }
        }
        _ => return raw.stranger("a register"),
    };
    Ok(RegisterOp { key, act })
}

fn whole(value: Value) -> Result<i64, String> {
    match value {
        Value::Number(number) => Ok(number),
        other => Err(format!("expected a whole number, not {other}")),
    }
}

/// See [`Service`].
pub fn counter(mut raw: Raw) -> Result<CounterOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Get => CounterAct::Read(raw.answered()?.map_or(Ok(0), whole)?),
        Asked::Add => {
            let told = raw.output.take().map(whole).transpose()?;
            CounterAct::Add(whole(raw.written("an add")?)?, told)
        }
        _ => return raw.stranger("a counter"),
    };
    Ok(CounterOp { key, act })
}

/// See [`Service`].
pub fn set(mut raw: Raw) -> Result<SetOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Add => SetAct::Add(raw.written("an add")?),
        Asked::Remove => SetAct::Remove(raw.written("a remove")?),
        Asked::Get => match raw.answered()? {
            Some(Value::List(items)) => SetAct::Read(items.into_iter().collect()),
            None | Some(Value::Null) => SetAct::Read(Default::default()),
            Some(other) => return Err(format!("expected a list, not {other}")),
        },
        _ => return raw.stranger("a set"),
    };
    Ok(SetOp { key, act })
}

/// See [`Service`].
pub fn queue(mut raw: Raw) -> Result<QueueOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Enqueue => QueueAct::Enqueue(raw.written("an enqueue")?),
        Asked::Dequeue => match (raw.ret, raw.output.take()) {
            (None, None) => QueueAct::Lost,
            (Some(_), Some(Value::Null)) => QueueAct::Dequeue(None),
            (Some(_), Some(output)) => QueueAct::Dequeue(Some(output)),
            (Some(_), None) => {
                return Err("a dequeue that was answered must have an \"output\"".into());
            }
            (None, Some(_)) => {
                return Err("a dequeue that was never answered must not have an \"output\"".into());
            }
        },
        _ => return raw.stranger("a queue"),
    };
    Ok(QueueOp { key, act })
}

/// See [`Service`].
pub fn map(mut raw: Raw) -> Result<Transaction, String> {
    if raw.asked != Asked::Txn {
        return raw.stranger("a map");
    }
    let wanted = || "\"ops\" must be a list of [\"r\",key,value], [\"w\",key,value] and [\"append\",key,value]";
    let Some(Value::List(ops)) = raw.more().ops else { return Err(wanted().into()) };
    let key = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    let micro = |op: &Value| {
        let Value::List(parts) = op else { return Err(wanted().to_string()) };
        let [Value::Text(what), of, value] = &parts[..] else { return Err(wanted().into()) };
        let (of, value) = (key(of), value.clone());
        match what.as_str() {
            "r" | "read" => Ok(Micro::Read(of, raw.ret.map(|_| value))),
            "w" | "write" => Ok(Micro::Write(of, value)),
            "append" => Ok(Micro::Append(of, value)),
            _ => Err(wanted().into()),
        }
    };
    ops.iter().map(micro).collect()
}
