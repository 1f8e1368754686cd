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
mod raw;
mod services;
mod source;

use super::{
    Bounds, Counter, CounterOp, Found, Map, Operation, Outputs, Queue, QueueOp, Register,
    RegisterOp, Set, SetOp, Text, TextOp, Transaction, Value, Verdict, Versioned, VersionedOp,
    check, examine_named,
};
use labrpc::time::{Duration, Instant};
use raw::{Raw, take_notes};
pub use services::Service;
use source::Lines;
use std::collections::BTreeMap;
use std::io::Read;

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
            None => Service::of(&raw, |place, what| self.at(place, what))?,
        };
        let initial = options.initial.clone();
        if initial.is_some() && !matches!(service, Service::Register | Service::Counter) {
            return Err("only a register or a counter can have something at first".into());
        }
        let mut outputs = Outputs::default();
        Ok(match service {
            Service::Text => {
                Operations::Texts(self.each(raw, |raw| services::text(raw, &mut outputs))?)
            }
            Service::Versioned => Operations::Versioned(self.each(raw, services::versioned)?),
            Service::Register => {
                let initial = initial.unwrap_or_default();
                Operations::Registers(Register { initial }, self.each(raw, services::register)?)
            }
            Service::Counter => {
                let initial = match initial {
                    None => 0,
                    Some(Value::Number(initial)) => initial,
                    Some(other) => return Err(format!("a counter can't begin with {other}")),
                };
                Operations::Counters(Counter { initial }, self.each(raw, services::counter)?)
            }
            Service::Set => Operations::Sets(self.each(raw, services::set)?),
            Service::Queue => Operations::Queues(self.each(raw, services::queue)?),
            Service::Map => Operations::Maps(self.each(raw, services::map)?),
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
