//! Histories as events: an operation is invoked, and later it is ok, it failed, or its outcome is unknown.

use super::edn;
use super::lines::asked;
use super::raw::{Asked, More, Raw};
use crate::linearizability::Value;
use std::collections::BTreeMap;

/// What was read so far.
#[derive(Default)]
pub struct Events {
    count: u64,
    under_way: BTreeMap<u64, Invoked>,
    done: Vec<(u32, Raw)>,
}

struct Invoked {
    line: u32,
    at: u64,
    asked: Asked,
    key: Box<str>,
    value: Value,
}

/// An event.
struct Event {
    process: u64,
    kind: Kind,
    f: String,
    key: Option<Value>,
    value: Value,
    error: bool,
}

enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

/// Whether the line belongs to such a history.
pub fn is_event(line: &str) -> bool {
    let inner = line.trim_start_matches(['[', '(', ' ']);
    is_logged(line) || inner.starts_with("{:") || inner.starts_with("#jepsen") || line == "]"
}

/// Whether the line is from a log.
fn is_logged(line: &str) -> bool {
    line.contains("jepsen")
        && [":invoke", ":ok", ":fail", ":info"].iter().any(|kind| line.contains(kind))
}

impl Events {
    /// Whether there were no events.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn take(&mut self, line: u32, text: &str) -> Result<(), String> {
        // The events may be in a vector. Then the first line opens it, and the last line closes it.
        let text = text.strip_prefix(['[', '(']).unwrap_or(text);
        let text = if text.ends_with("}]") || text.ends_with("})") || text == "]" {
            &text[..text.len() - 1]
        } else {
            text
        };
        if text.trim().is_empty() {
            return Ok(());
        }
        let event = if text.starts_with("INFO") || is_logged(text) && !text.starts_with(['{', '#'])
        {
            logged(text)?
        } else {
            Some(noted(text)?)
        };
        self.count += 1;
        // `None` is an event of the nemesis, which is not a client.
        let Some(event) = event else { return Ok(()) };
        match event.kind {
            Kind::Invoke => self.invoke(line, event),
            _ => self.complete(event),
        }
    }

    fn invoke(&mut self, line: u32, event: Event) -> Result<(), String> {
        let Event { process, f, key, value, .. } = event;
        let asked = asked(&f).ok_or_else(|| {
            format!(
                ":{f} is not one of :read, :write, :cas, :append, :add, :remove, :enqueue, :dequeue or :txn"
            )
        })?;
        let (key, value) = match (key, value) {
            (Some(key), value) => (key, value),
            (None, Value::List(mut pair)) if has_key(asked, &pair) => {
                let value = pair.pop().unwrap_or_default();
                (pair.pop().unwrap_or_default(), value)
            }
            (None, value) => (Value::Null, value),
        };
        let key = match key {
            Value::Null => "".into(),
            Value::Text(text) => text.into(),
            other => other.to_string().into(),
        };
        let invoked = Invoked { line, at: self.count, asked, key, value };
        match self.under_way.insert(process, invoked) {
            None => Ok(()),
            Some(before) => Err(format!(
                "process {process} invokes an operation, but its operation of line {} has not ended",
                before.line
            )),
        }
    }

    fn complete(&mut self, event: Event) -> Result<(), String> {
        let Event { process, kind, value, error, .. } = event;
        let Some(invoked) = self.under_way.remove(&process) else {
            return match kind {
                Kind::Info => Ok(()),
                _ => Err(format!("process {process} has no operation that could end here")),
            };
        };
        let value = match value {
            Value::List(mut pair) if !invoked.key.is_empty() && has_key(invoked.asked, &pair) => {
                pair.pop().unwrap_or_default()
            }
            value => value,
        };
        let is_cas = invoked.asked == Asked::Cas;
        let told = matches!(&value, Value::List(pair) if pair.len() == 2);
        let result = match kind {
            Kind::Ok => Some(if is_cas { "ok" } else { "" }),
            Kind::Fail if is_cas && told && !error => Some("failed"),
            Kind::Fail => return Ok(()),
            Kind::Info | Kind::Invoke => None,
        };
        let ret = result.map(|_| self.count);
        self.done.push((invoked.line, invoked.into_raw(process, ret, value, result)?));
        Ok(())
    }

    /// All operations. Those that did not end have an unknown outcome.
    pub fn finish(mut self) -> Vec<(u32, Raw)> {
        for (process, invoked) in std::mem::take(&mut self.under_way) {
            let line = invoked.line;
            if let Ok(raw) = invoked.into_raw(process, None, Value::Null, None) {
                self.done.push((line, raw));
            }
        }
        self.done.sort_by_key(|(line, _)| *line);
        self.done
    }
}

/// Whether the pair is a key with its value.
fn has_key(asked: Asked, pair: &[Value]) -> bool {
    match asked {
        Asked::Cas => matches!(pair, [_, Value::List(_)]),
        Asked::Get | Asked::Put => pair.len() == 2,
        _ => false,
    }
}

impl Invoked {
    fn into_raw(
        self,
        client: u64,
        ret: Option<u64>,
        told: Value,
        result: Option<&str>,
    ) -> Result<Raw, String> {
        let Invoked { at: call, asked, key, value, .. } = self;
        let mut raw = Raw { client, call, ret, asked, key, value: None, output: None, more: None };
        match asked {
            Asked::Get | Asked::Dequeue => raw.output = ret.map(|_| told),
            Asked::Cas => {
                let Value::List(pair) = value else {
                    return Err("the value of a :cas must be [from to]".into());
                };
                let [from, to] = <[Value; 2]>::try_from(pair)
                    .map_err(|_| "the value of a :cas must be [from to]".to_string())?;
                let result = result.map(String::from);
                let (from, to) = (Some(from), Some(to));
                raw.more = Some(Box::new(More { from, to, result, ..More::default() }));
            }
            Asked::Txn => {
                let ops = Some(if ret.is_some() { told } else { value });
                raw.more = Some(Box::new(More { ops, ..More::default() }));
            }
            Asked::Put | Asked::Append | Asked::Add | Asked::Remove | Asked::Enqueue => {
                raw.value = Some(value);
            }
        }
        Ok(raw)
    }
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        ":invoke" => Kind::Invoke,
        ":ok" => Kind::Ok,
        ":fail" => Kind::Fail,
        ":info" => Kind::Info,
        _ => return None,
    })
}

/// Parses `INFO  jepsen.util - 3  :invoke  :cas  [1 2]`. `None` if the event does not belong to a client.
fn logged(text: &str) -> Result<Option<Event>, String> {
    let (_, text) = text.split_once(" - ").ok_or("expected an event after \" - \"")?;
    let mut words = text.trim_start().splitn(2, char::is_whitespace);
    let Some(Ok(process)) = words.next().map(str::parse) else { return Ok(None) };
    let mut words = words.next().unwrap_or("").trim_start().splitn(2, char::is_whitespace);
    let word = words.next().unwrap_or("");
    let kind =
        kind(word).ok_or_else(|| format!("{word:?} is not one of :invoke, :ok, :fail or :info"))?;
    let mut words = words.next().unwrap_or("").trim_start().splitn(2, char::is_whitespace);
    let f = words.next().unwrap_or("").trim_start_matches(':').to_string();
    let value = edn::parse(words.next().unwrap_or("nil"))?;
    let error = matches!(&value, Value::Text(word) if word.starts_with(':'));
    Ok(Some(Event { process, kind, f, key: None, value, error }))
}

/// Parses `{:process 3, :type :invoke, :f :cas, :value [1 2]}`.
fn noted(text: &str) -> Result<Event, String> {
    let Value::List(items) = edn::parse(text)? else { return Err("expected a map".into()) };
    let get = |name: &str| {
        let pairs = items.chunks_exact(2);
        let is = |pair: &&[Value]| matches!(&pair[0], Value::Text(key) if key == name);
        pairs.filter(is).map(|pair| pair[1].clone()).next_back()
    };
    let word = |name: &str| match get(name) {
        Some(Value::Text(word)) => Ok(word),
        _ => Err(format!("{name} is missing")),
    };
    let kind = kind(&word(":type")?).ok_or(":type is not one of :invoke, :ok, :fail or :info")?;
    let f = word(":f")?.trim_start_matches(':').to_string();
    let value = get(":value").unwrap_or_default();
    let error = get(":error").is_some_and(|error| error != Value::Null);
    match get(":process") {
        Some(Value::Number(process)) => {
            let process = u64::try_from(process).map_err(|_| ":process is negative")?;
            Ok(Event { process, kind, f, key: get(":key"), value, error })
        }
        // The nemesis is a process of its own. It invokes no operation of the service.
        _ => Ok(Event { process: u64::MAX, kind: Kind::Info, f, key: None, value, error }),
    }
}
