//! Histories in files.
//!
//! # JSON, one operation per line
//!
//! ```text
//! {"client":0,"call":10,"return":25,"op":"append","key":"k","value":"x"}
//! {"client":1,"call":12,"return":31,"op":"get","key":"k","output":"x"}
//! {"client":0,"call":27,"return":null,"op":"put","key":"k","value":"y"}
//! ```
//!
//! Times are in nanoseconds, all on one clock. A `return` of null means that the outcome of the operation is unknown. In that
//! case the number of that client is not used again, and a get has no `output`. Values are texts, whole numbers, `true`,
//! `false` or `null`. A `note` is printed wherever the operation is shown. Fields that no model knows are ignored, and so are
//! blank lines. If there is no `key`, all operations are on the same key.
//!
//! | model | operations |
//! |---|---|
//! | `text` | `get` (`output`), `put`, `append` (`value`): the 2022 lab. The initial text is empty |
//! | `versioned` | `get` (`output` and `version`, or `"result":"no_key"`), `put` (`value`, `version`, `result`: `ok`, `version`, `no_key` or `maybe`): the 2025 lab |
//! | `register` | `get`, `put`, `cas` (`from`, `to`, `result`: `ok`, `failed` or `unknown`) |
//! | `counter` | `add` (`value`, and `output` if the client got the new value), `get` |
//! | `set` | `add`, `remove` (`value`), `get` (`output`: a list) |
//! | `queue` | `enqueue` (`value`), `dequeue` (`output`: null if the queue was empty) |
//! | `map` | `txn` (`ops`: a list of `["r",key,value]`, `["w",key,value]`, `["append",key,value]`) |
//!
//! `read` means `get`, and `write` means `put`. The model can usually be recognized by the operations.
//!
//! # Jepsen
//!
//! Either a log (`INFO  jepsen.util - 3  :invoke  :cas  [1 2]`), or a history as EDN with one event per line
//! (`{:process 3, :type :invoke, :f :cas, :value [1 2]}`). For several keys, an event has a `:key`, or values of the form
//! `[key value]`. The order of the lines is the order in time. An operation that failed did not happen. The exception is a
//! failed `cas` that has its values and no error: it compared with a different value.

mod edn;
mod events;
mod lines;
mod raw;
mod services;
mod source;

use super::contradiction::{Row, row};
use super::{
    Bounds, Counter, CounterOp, Found, Map, Model, Operation, Outputs, Queue, QueueOp, Register,
    RegisterOp, Set, SetOp, Text, TextOp, Transaction, Value, Verdict, Versioned, VersionedOp,
    check, examine_named,
};
use labrpc::time::{Duration, Instant};
use raw::{Raw, take_notes};
pub use services::Service;
use source::Lines;
use std::collections::BTreeMap;
use std::io::Read;

/// How a file should be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The service. `None`: it is recognized by its operations.
    pub service: Option<Service>,
    /// The initial value of a register or a counter. `None`: null, or 0.
    pub initial: Option<Value>,
}

/// A history that was read from files.
#[derive(Debug)]
pub struct History {
    operations: Operations,
    /// The file and the line of each operation.
    places: Vec<Place>,
    /// The names of the files.
    names: Vec<String>,
    /// The notes of operations.
    notes: BTreeMap<usize, String>,
}

/// The index of a file, and a line.
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

/// Evaluates an expression with the model and the operations.
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
    /// Reads a history.
    ///
    /// # Errors
    /// Some lines are malformed, or don't fit together; or there is no operation. The text names the first 20 of the lines.
    pub fn read(from: impl Read) -> Result<History, String> {
        History::read_all([(String::new(), from)], &Options::default())
    }

    /// Reads a history from several files, each with its name.
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

    /// Whether the history is linearizable.
    pub fn check(&self, bounds: impl Into<Bounds>) -> Verdict {
        with!(&self.operations, |model, history| check(model, history, bounds))
    }

    /// See [`super::examine`]. Operations are named by their lines.
    pub fn examine(&self, bounds: impl Into<Bounds>, found: impl FnMut(Found)) {
        let name = |operation: usize| self.place(operation);
        with!(&self.operations, |model, history| examine_named(
            model, history, bounds, &name, found
        ))
    }

    /// How many operations the history has.
    pub fn operations(&self) -> usize {
        self.places.len()
    }

    /// The line of an operation. If there are several files, it comes with the file.
    pub fn place(&self, operation: usize) -> String {
        let Place { file, line } = self.places[operation];
        match self.names.len() {
            1 => line.to_string(),
            _ => format!("{}:{line}", self.names[file as usize]),
        }
    }

    /// All operations on these keys, each with its place in the history and its key. `None`: all keys.
    pub fn rows(&self, keys: Option<&[String]>) -> Vec<(usize, String, Row)> {
        fn rows<M: Model>(
            _: &M,
            history: &[Operation<M::Op>],
            name: &dyn Fn(usize) -> String,
            keys: Option<&[String]>,
        ) -> Vec<(usize, String, Row)> {
            let key = |place: usize| M::key(&history[place].op);
            let wanted =
                |place: &usize| keys.is_none_or(|keys| keys.iter().any(|it| it == key(*place)));
            let row = |place| (place, key(place).to_string(), row::<M>(history, place, name));
            (0..history.len()).filter(wanted).map(row).collect()
        }
        let name = |operation: usize| self.place(operation);
        with!(&self.operations, |model, history| rows(model, history, &name, keys))
    }

    /// The note of an operation.
    pub fn note(&self, operation: usize) -> Option<&str> {
        self.notes.get(&operation).map(String::as_str)
    }
}

fn of_file(name: &str, wrong: &str) -> String {
    if name.is_empty() { wrong.into() } else { format!("{name}: {wrong}") }
}

/// How many of the wrong lines are reported.
const TOLD: usize = 20;

/// All errors, line by line, as one text.
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
            return Err(of_file(&self.names.join(", "), "there are no operations in it"));
        }
        self.follow_one_another(&raw)?;
        let service = match options.service {
            Some(service) => service,
            None => Service::of(&raw, |place, what| self.at(place, what))?,
        };
        let initial = options.initial.clone();
        if initial.is_some() && !matches!(service, Service::Register | Service::Counter) {
            return Err("only a register or a counter can have an initial value".into());
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
                    Some(other) => {
                        return Err(format!("the initial value of a counter can't be {other}"));
                    }
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

    /// Checks that each client did one thing at a time.
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
                     a client does one thing at a time, so give each thread its own client number"
                ),
                None => format!(
                    "client {client} has an operation of unknown outcome in line {before}; \
                     let it continue under another client number"
                ),
            };
            if wrong.len() < TOLD { wrong.push(self.at(this, &text)) } else { more += 1 }
        }
        if wrong.is_empty() { Ok(()) } else { Err(all_wrong(wrong, more)) }
    }
}
