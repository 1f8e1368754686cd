//! Histories in files.
//!
//! # JSON, an operation a line
//!
//! ```text
//! {"client":0,"call":10,"return":25,"op":"append","key":"k","value":"x"}
//! {"client":1,"call":12,"return":31,"op":"get","key":"k","output":"x"}
//! {"client":0,"call":27,"return":null,"op":"put","key":"k","value":"y"}
//! ```
//!
//! Times are nanoseconds, on one clock. A `return` of null is an operation of unknown outcome; then that client's
//! number isn't used again, and a get has no `output`. Values are texts, whole numbers, `true`, `false` or `null`. A `note` is shown where the
//! operation is. A field that is known to no model is passed over, and so is a blank line. Without a `key`, all is about one.
//!
//! | model | operations |
//! |---|---|
//! | `text` | `get` (`output`), `put`, `append` (`value`): the 2022 lab. What is there at first is the empty text |
//! | `versioned` | `get` (`output` and `version`, or `"result":"no_key"`), `put` (`value`, `version`, `result`: `ok`, `version`, `no_key` or `maybe`): the 2025 lab |
//! | `register` | `get`, `put`, `cas` (`from`, `to`, `result`: `ok`, `failed` or `unknown`) |
//! | `counter` | `add` (`value`, and if it was told, `output`), `get` |
//! | `set` | `add`, `remove` (`value`), `get` (`output`: a list) |
//! | `queue` | `enqueue` (`value`), `dequeue` (`output`: null if it was empty) |
//! | `map` | `txn` (`ops`: a list of `["r",key,value]`, `["w",key,value]`, `["append",key,value]`) |
//!
//! `read` is `get`, and `write` is `put`. Which model it is can mostly be told from the operations.
//!
//! # Jepsen
//!
//! A log (`INFO  jepsen.util - 3  :invoke  :cas  [1 2]`), or a history as EDN, an event a line
//! (`{:process 3, :type :invoke, :f :cas, :value [1 2]}`), with `:key` or with values `[key value]` for several keys. The order of lines is
//! the time. What failed didn't happen, but for a `cas` that tells its values and no error: what it compared was different.

mod edn;
mod events;
mod lines;
mod source;

use super::{
    Answer, Bounds, Counter, CounterAct, CounterOp, Found, Map, Micro, Operation, Output, Outputs,
    Queue, QueueAct, QueueOp, Register, RegisterAct, RegisterOp, Set, SetAct, SetOp, Text, TextOp,
    Transaction, Value, Verdict, Versioned, VersionedOp, check, examine_named,
};
use clap::ValueEnum;
use labrpc::time::{Duration, Instant};
use source::Lines;
use std::collections::BTreeMap;
use std::io::Read;

/// The models that a file can be of.
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

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What it is of. `None`: the operations tell.
    pub service: Option<Service>,
    /// What a register or counter has at first. `None`: nothing, or 0.
    pub initial: Option<Value>,
}

/// A history as it was read.
#[derive(Debug)]
pub struct History {
    operations: Operations,
    /// Where each operation stands.
    places: Vec<Place>,
    /// The names of the files.
    names: Vec<String>,
    /// What was noted of operations.
    notes: BTreeMap<usize, String>,
}

/// A file, by its number, and the line.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    line: u32,
}

#[derive(Debug)]
enum Operations {
    Texts(Vec<Operation<TextOp>>),
    Versioned(Vec<Operation<VersionedOp>>),
    Registers(Register, Vec<Operation<RegisterOp>>),
    Counters(Counter, Vec<Operation<CounterOp>>),
    Sets(Vec<Operation<SetOp>>),
    Queues(Vec<Operation<QueueOp>>),
    Maps(Vec<Operation<Transaction>>),
}

/// Does something with the model and the operations.
macro_rules! with {
    ($operations:expr, |$model:ident, $history:ident| $what:expr) => {
        match $operations {
            Operations::Texts($history) => ((|$model: &Text| $what)(&Text)),
            Operations::Versioned($history) => ((|$model: &Versioned| $what)(&Versioned)),
            Operations::Registers(register, $history) => ((|$model: &Register| $what)(register)),
            Operations::Counters(counter, $history) => ((|$model: &Counter| $what)(counter)),
            Operations::Sets($history) => ((|$model: &Set| $what)(&Set)),
            Operations::Queues($history) => ((|$model: &Queue| $what)(&Queue)),
            Operations::Maps($history) => ((|$model: &Map| $what)(&Map)),
        }
    };
}

impl History {
    /// Reads one.
    ///
    /// # Errors
    /// Lines are not as they should be, or don't go with others; or there is none. The text names the first 20.
    pub fn read(from: impl Read) -> Result<History, String> {
        History::read_all([(String::new(), from)], &Options::default())
    }

    /// Reads one that is in several files, each with its name.
    ///
    /// # Errors
    /// See [`History::read`].
    pub fn read_all<R: Read>(
        files: impl IntoIterator<Item = (String, R)>,
        options: &Options,
    ) -> Result<History, String> {
        let mut raw = Vec::new();
        let mut places = Vec::new();
        let mut names = Vec::new();
        for (name, from) in files {
            let file = names.len() as u32;
            let read = Lines::new(from).and_then(|lines| lines::read(lines));
            let read = read.map_err(|wrong| of_file(&name, &wrong))?;
            for (line, operation) in read {
                places.push(Place { file, line });
                raw.push(operation);
            }
            names.push(name);
        }
        let mut history = Building { places, names, wrong: Vec::new() };
        let notes = take_notes(&mut raw);
        let operations = history.build(raw, options)?;
        let Building { places, names, .. } = history;
        Ok(History { operations, places, names, notes })
    }

    /// Whether it is linearizable.
    pub fn check(&self, bounds: impl Into<Bounds>) -> Verdict {
        with!(&self.operations, |model, history| check(model, history, bounds))
    }

    /// See [`super::examine`]. Operations are known by their lines.
    pub fn examine(&self, bounds: impl Into<Bounds>, found: impl FnMut(Found)) {
        let name = |operation: usize| self.place(operation);
        with!(&self.operations, |model, history| examine_named(
            model, history, bounds, &name, found
        ))
    }

    /// How many operations it has.
    pub fn operations(&self) -> usize {
        self.places.len()
    }

    /// The line of an operation; with its file if there are several.
    pub fn place(&self, operation: usize) -> String {
        let Place { file, line } = self.places[operation];
        match self.names.len() {
            1 => line.to_string(),
            _ => format!("{}:{line}", self.names[file as usize]),
        }
    }

    /// What was noted of an operation.
    pub fn note(&self, operation: usize) -> Option<&str> {
        self.notes.get(&operation).map(String::as_str)
    }
}

fn of_file(name: &str, wrong: &str) -> String {
    if name.is_empty() { wrong.into() } else { format!("{name}: {wrong}") }
}

/// What is asked, in all models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Get,
    Put,
    Append,
    Cas,
    Add,
    Remove,
    Enqueue,
    Dequeue,
    Txn,
}

/// An operation as it was read, of whatever model.
#[derive(Debug)]
struct Raw {
    client: u64,
    call: u64,
    ret: Option<u64>,
    asked: Asked,
    key: Box<str>,
    value: Option<Value>,
    output: Option<Value>,
    more: Option<Box<More>>,
}

/// What few have.
#[derive(Debug, Default)]
struct More {
    version: Option<u64>,
    result: Option<String>,
    from: Option<Value>,
    to: Option<Value>,
    ops: Option<Value>,
    note: Option<String>,
}

fn take_notes(raw: &mut [Raw]) -> BTreeMap<usize, String> {
    let note = |(place, raw): (usize, &mut Raw)| Some((place, raw.more.as_mut()?.note.take()?));
    raw.iter_mut().enumerate().filter_map(note).collect()
}

/// How many wrong lines are told.
const TOLD: usize = 20;

/// What is wrong, line by line, as one text.
fn all_wrong(wrong: Vec<String>, more: usize) -> String {
    match (wrong.len(), more) {
        (1, 0) => wrong.concat(),
        (_, 0) => format!("{} lines are wrong:\n  {}", wrong.len(), wrong.join("\n  ")),
        (told, more) => {
            format!("{} lines are wrong; the first {told}:\n  {}", told + more, wrong.join("\n  "))
        }
    }
}

/// A history under construction.
struct Building {
    places: Vec<Place>,
    names: Vec<String>,
    wrong: Vec<String>,
}

impl Building {
    fn build(&mut self, raw: Vec<Raw>, options: &Options) -> Result<Operations, String> {
        if raw.is_empty() {
            return Err(of_file(&self.names.join(", "), "there is no operation in it"));
        }
        self.follow_one_another(&raw)?;
        let service = match options.service {
            Some(service) => service,
            None => self.service(&raw)?,
        };
        let initial = options.initial.clone();
        if initial.is_some() && !matches!(service, Service::Register | Service::Counter) {
            return Err("only a register or a counter can have something at first".into());
        }
        let mut outputs = Outputs::default();
        Ok(match service {
            Service::Text => Operations::Texts(self.each(raw, |raw| text(raw, &mut outputs))?),
            Service::Versioned => Operations::Versioned(self.each(raw, versioned)?),
            Service::Register => {
                let initial = initial.unwrap_or_default();
                Operations::Registers(Register { initial }, self.each(raw, register)?)
            }
            Service::Counter => {
                let initial = match initial {
                    None => 0,
                    Some(Value::Number(initial)) => initial,
                    Some(other) => return Err(format!("a counter can't begin with {other}")),
                };
                Operations::Counters(Counter { initial }, self.each(raw, counter)?)
            }
            Service::Set => Operations::Sets(self.each(raw, set)?),
            Service::Queue => Operations::Queues(self.each(raw, queue)?),
            Service::Map => Operations::Maps(self.each(raw, map)?),
        })
    }

    fn each<Op>(
        &mut self,
        raw: Vec<Raw>,
        mut op: impl FnMut(Raw) -> Result<Op, String>,
    ) -> Result<Vec<Operation<Op>>, String> {
        let at = |nanos| Instant::at(Duration::from_nanos(nanos));
        let mut all = Vec::with_capacity(raw.len());
        let mut more = 0;
        for (place, raw) in raw.into_iter().enumerate() {
            let (client, call, ret) = (raw.client, at(raw.call), raw.ret.map(at));
            match op(raw) {
                Ok(op) => all.push(Operation { client, call, ret, op }),
                Err(wrong) if self.wrong.len() < TOLD => {
                    let wrong = self.at(place, &wrong);
                    self.wrong.push(wrong);
                }
                Err(_) => more += 1,
            }
        }
        let wrong = std::mem::take(&mut self.wrong);
        if wrong.is_empty() { Ok(all) } else { Err(all_wrong(wrong, more)) }
    }

    fn at(&self, place: usize, wrong: &str) -> String {
        let Place { file, line } = self.places[place];
        of_file(&self.names[file as usize], &format!("line {line}: {wrong}"))
    }

    /// Which service has such operations.
    fn service(&self, raw: &[Raw]) -> Result<Service, String> {
        let any = |which: &dyn Fn(&Raw) -> bool| raw.iter().position(which);
        let asks = |asked| any(&|raw: &Raw| raw.asked == asked);
        let has_version = any(&|raw| raw.asked != Asked::Cas && raw.has_version());
        let is_no_text = |value: &Option<Value>| value.as_ref().is_some_and(|v| !v.is_text());
        let no_text = any(&|raw| is_no_text(&raw.value) || is_no_text(&raw.output));
        let has_list = any(&|raw| matches!(raw.output, Some(Value::List(_))));
        let queue = asks(Asked::Enqueue).or(asks(Asked::Dequeue));
        let adds = asks(Asked::Add);
        let counter = if has_list.is_none() { adds } else { None };
        let set = asks(Asked::Remove).or(if has_list.is_some() { adds } else { None });
        let told = [
            (has_version, Service::Versioned, "a version"),
            (asks(Asked::Txn), Service::Map, "a transaction"),
            (queue, Service::Queue, "a queue's operation"),
            (set, Service::Set, "a set's operation"),
            (counter, Service::Counter, "a counter's operation"),
            (asks(Asked::Cas), Service::Register, "a compare-and-swap"),
            (asks(Asked::Append), Service::Text, "an append"),
        ];
        let mut told = told
            .into_iter()
            .filter_map(|(place, service, what)| place.map(|place| (place, service, what)));
        let Some(first) = told.next() else {
            return Ok(if no_text.is_some() { Service::Register } else { Service::Text });
        };
        match told.next() {
            None => Ok(first.1),
            Some(second) => {
                let second = self.at(second.0, &format!("this is {}", second.2));
                let first = self.at(first.0, &format!("this is {}", first.2));
                Err(format!("{first}; and {second}; no service has both (or name it: --model)"))
            }
        }
    }

    /// Whether each client did one thing at a time.
    fn follow_one_another(&self, raw: &[Raw]) -> Result<(), String> {
        let mut order: Vec<u32> = (0..raw.len() as u32).collect();
        order.sort_by_cached_key(|op| {
            let Raw { client, call, ret, .. } = &raw[*op as usize];
            (*client, *call, ret.is_none(), *ret)
        });
        let mut wrong = Vec::new();
        let mut more = 0;
        for pair in order.windows(2) {
            let [before, this] = [pair[0] as usize, pair[1] as usize];
            let (first, second) = (&raw[before], &raw[this]);
            if first.client != second.client || first.ret.is_some_and(|ret| ret <= second.call) {
                continue;
            }
            let (client, before) = (second.client, self.places[before].line);
            let text = match first.ret {
                Some(_) => format!(
                    "client {client} calls before its operation of line {before} returns; \
                     a client does one thing at a time, so give each thread a number of its own"
                ),
                None => format!(
                    "client {client} has an operation of unknown outcome in line {before}; \
                     let it go on under another number"
                ),
            };
            if wrong.len() < TOLD { wrong.push(self.at(this, &text)) } else { more += 1 }
        }
        if wrong.is_empty() { Ok(()) } else { Err(all_wrong(wrong, more)) }
    }
}

impl Raw {
    fn has_version(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.version.is_some() || more.result.is_some())
    }

    fn more(&mut self) -> More {
        self.more.take().map(|more| *more).unwrap_or_default()
    }

    /// What a get answered. `Ok(None)`: it never was.
    fn answered(&mut self) -> Result<Option<Value>, String> {
        if self.value.is_some() {
            return Err("a get has no \"value\"".into());
        }
        match (self.ret, self.output.take()) {
            (None, None) => Ok(None),
            (Some(_), Some(output)) => Ok(Some(output)),
            (None, Some(_)) => Err("a get that was never answered has no \"output\"".into()),
            (Some(_), None) => Err("a get that was answered has an \"output\"".into()),
        }
    }

    /// The value of a write.
    fn written(&mut self, what: &str) -> Result<Value, String> {
        match (self.value.take(), &self.output) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("{what} has a \"value\"")),
            (Some(_), Some(_)) => Err(format!("{what} has no \"output\"")),
        }
    }

    fn stranger<T>(&self, service: &str) -> Result<T, String> {
        Err(format!("{service} has no {}", format!("{:?}", self.asked).to_lowercase()))
    }
}

fn in_words(value: Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("a text is wanted, and not {other}: for numbers, --model register")),
    }
}

fn text(mut raw: Raw, outputs: &mut Outputs) -> Result<TextOp, String> {
    if raw.has_version() {
        return Err("all have versions, or none has; this has versions".into());
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

fn versioned(mut raw: Raw) -> Result<VersionedOp, String> {
    let key = String::from(std::mem::take(&mut raw.key));
    let More { version, result, .. } = raw.more();
    let result = result.map(|result| match result.as_str() {
        "ok" => Ok(Answer::Ok),
        "version" => Ok(Answer::Version),
        "no_key" => Ok(Answer::NoKey),
        "maybe" => Ok(Answer::Maybe),
        _ => Err(format!(
            "the result {result:?} is none of \"ok\", \"version\", \"no_key\" and \"maybe\""
        )),
    });
    let result = result.transpose()?;
    let output = raw.output.take().map(in_words).transpose()?;
    let value = raw.value.take().map(in_words).transpose()?;
    match raw.asked {
        Asked::Get => {
            if value.is_some() {
                return Err("a get has no \"value\"".into());
            }
            let output = match (raw.ret, output, version, result) {
                (Some(_), Some(output), Some(version), None | Some(Answer::Ok)) => {
                    Some((output, version))
                }
                (Some(_), None, None, Some(Answer::NoKey)) | (None, None, None, None) => None,
                (Some(_), ..) => {
                    let wanted = "has \"output\" and \"version\", or else \"result\":\"no_key\"";
                    return Err(format!("a get that was answered {wanted}"));
                }
                (None, ..) => return Err("a get that was never answered has no output".into()),
            };
            Ok(VersionedOp::Get { key, output })
        }
        Asked::Put => {
            let (Some(value), Some(version), None) = (value, version, output) else {
                return Err(
                    "a versioned put has \"value\" and \"version\", and no \"output\"".into()
                );
            };
            let answer = match (raw.ret, result) {
                (Some(_), Some(answer)) => answer,
                (None, None) => Answer::Maybe,
                (Some(_), None) => {
                    return Err("a versioned put that was answered has a \"result\"".into());
                }
                (None, Some(_)) => {
                    return Err("a put that was never answered has no \"result\"".into());
                }
            };
            Ok(VersionedOp::Put { key, value, version, answer })
        }
        Asked::Append => Err("with versions, there is no append".into()),
        _ => raw.stranger("a versioned register"),
    }
}

fn register(mut raw: Raw) -> Result<RegisterOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Get => RegisterAct::Read(raw.answered()?.unwrap_or_default()),
        Asked::Put => RegisterAct::Write(raw.written("a put")?),
        Asked::Cas => {
            let More { from, to, result, .. } = raw.more();
            let (Some(from), Some(to)) = (from, to) else {
                return Err("a cas has \"from\" and \"to\"".into());
            };
            let done = match (raw.ret, result.as_deref()) {
                (Some(_), Some("ok")) => Some(true),
                (Some(_), Some("failed")) => Some(false),
                (Some(_), Some("unknown")) | (None, None | Some("unknown")) => None,
                (None, Some(_)) => {
                    return Err("a cas that was never answered has no \"result\"".into());
                }
                (Some(_), _) => {
                    return Err("the result of a cas is \"ok\", \"failed\" or \"unknown\"".into());
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
        other => Err(format!("a whole number is wanted, and not {other}")),
    }
}

fn counter(mut raw: Raw) -> Result<CounterOp, String> {
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

fn set(mut raw: Raw) -> Result<SetOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Add => SetAct::Add(raw.written("an add")?),
        Asked::Remove => SetAct::Remove(raw.written("a remove")?),
        Asked::Get => match raw.answered()? {
            Some(Value::List(items)) => SetAct::Read(items.into_iter().collect()),
            None | Some(Value::Null) => SetAct::Read(Default::default()),
            Some(other) => return Err(format!("a list is wanted, and not {other}")),
        },
        _ => return raw.stranger("a set"),
    };
    Ok(SetOp { key, act })
}

fn queue(mut raw: Raw) -> Result<QueueOp, String> {
    let key = std::mem::take(&mut raw.key).into();
    let act = match raw.asked {
        Asked::Enqueue => QueueAct::Enqueue(raw.written("an enqueue")?),
        Asked::Dequeue => match (raw.ret, raw.output.take()) {
            (None, None) => QueueAct::Lost,
            (Some(_), Some(Value::Null)) => QueueAct::Dequeue(None),
            (Some(_), Some(output)) => QueueAct::Dequeue(Some(output)),
            (Some(_), None) => return Err("a dequeue that was answered has an \"output\"".into()),
            (None, Some(_)) => {
                return Err("a dequeue that was never answered has no \"output\"".into());
            }
        },
        _ => return raw.stranger("a queue"),
    };
    Ok(QueueOp { key, act })
}

fn map(mut raw: Raw) -> Result<Transaction, String> {
    if raw.asked != Asked::Txn {
        return raw.stranger("a map");
    }
    let wanted =
        || "\"ops\" is a list of [\"r\",key,value], [\"w\",key,value] and [\"append\",key,value]";
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
