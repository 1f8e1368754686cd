//! Histories in files: an operation a line, as JSON.
//!
//! ```text
//! {"client":0,"call":10,"return":25,"op":"append","key":"k","value":"x"}
//! {"client":1,"call":12,"return":31,"op":"get","key":"k","output":"x"}
//! {"client":0,"call":27,"return":null,"op":"put","key":"k","value":"y"}
//! ```
//!
//! Times are nanoseconds, on one clock. A `return` of null is an operation of unknown outcome; then that client's
//! number isn't used again, and a get has no `output`. The 2025 lab's operations have versions and results:
//!
//! ```text
//! {"client":0,"call":10,"return":25,"op":"put","key":"k","value":"x","version":0,"result":"ok"}
//! {"client":1,"call":12,"return":31,"op":"get","key":"k","output":"x","version":1}
//! {"client":1,"call":32,"return":36,"op":"get","key":"l","result":"no_key"}
//! ```
//!
//! The result of a put is `ok`, `version`, `no_key` or `maybe`. A file has operations of one kind.

use super::{
    Answer, Limit, Operation, Output, Outputs, Text, TextOp, Verdict, Versioned, VersionedOp, check,
};
use labrpc::time::{Duration, Instant};
use serde::Deserialize;
use std::io::BufRead;

/// A history as it was read. The operation at index `i` is that of line `i + 1`.
#[derive(Debug)]
pub enum History {
    /// Gets, puts and appends.
    Texts(Vec<Operation<TextOp>>),
    /// Gets and versioned puts.
    Versioned(Vec<Operation<VersionedOp>>),
}

impl History {
    /// Reads one.
    ///
    /// # Errors
    /// A line is not as it should be, or doesn't go with another one; or there is none.
    pub fn read(mut from: impl BufRead) -> Result<History, String> {
        let mut reader = Reader::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = from.read_until(b'\n', &mut line);
            if read.map_err(|error| format!("can't read line {number}: {error}"))? == 0 {
                break;
            }
            let taken = parse(&line).and_then(|line| reader.take(number, line));
            taken.map_err(|wrong| format!("line {number}: {wrong}"))?;
        }
        reader.finish()
    }

    /// Whether it is linearizable.
    pub fn check(&self, limit: Limit) -> Verdict {
        match self {
            History::Texts(history) => check::<Text>(history, limit),
            History::Versioned(history) => check::<Versioned>(history, limit),
        }
    }

    /// How many operations it has.
    pub fn operations(&self) -> usize {
        match self {
            History::Texts(history) => history.len(),
            History::Versioned(history) => history.len(),
        }
    }
}

/// What a line may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    client: u64,
    call: u64,
    // So that one without it is told so: null has a meaning.
    #[serde(rename = "return", deserialize_with = "Option::deserialize")]
    ret: Option<u64>,
    op: Kind,
    key: String,
    value: Option<String>,
    output: Option<String>,
    version: Option<u64>,
    result: Option<Answer>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Get,
    Put,
    Append,
}

fn parse(line: &[u8]) -> Result<Line, String> {
    let text = std::str::from_utf8(line).map_err(|_| "this is not UTF-8")?.trim();
    if !text.starts_with('{') {
        return Err("an operation is wanted, such as {\"client\":0,\"call\":10,\"return\":25,\
            \"op\":\"get\",\"key\":\"k\",\"output\":\"x\"}"
            .into());
    }
    serde_json::from_str(text).map_err(|error| {
        let text = error.to_string();
        // There is only one line.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        let hint = if error.is_eof() { "; is the file cut off?" } else { "" };
        format!("{what} at column {}{hint}", error.column())
    })
}

impl Line {
    /// Whether it has to do with versions; `None`: a get that was never answered may be of either kind.
    fn is_versioned(&self) -> Option<bool> {
        let versioned = self.version.is_some() || self.result.is_some();
        let tells = versioned || self.ret.is_some() || self.op != Kind::Get;
        tells.then_some(versioned)
    }

    fn operation<Op>(
        self,
        op: impl FnOnce(Line) -> Result<Op, String>,
    ) -> Result<Operation<Op>, String> {
        let at = |nanos| Instant::at(Duration::from_nanos(nanos));
        let (client, call, ret) = (self.client, at(self.call), self.ret.map(at));
        Ok(Operation { client, call, ret, op: op(self)? })
    }

    fn text_op(self, outputs: &mut Outputs) -> Result<TextOp, String> {
        let Line { op, key, value, output, ret, .. } = self;
        match (op, value, output) {
            (Kind::Get, None, Some(output)) if ret.is_some() => {
                Ok(TextOp::Get { output: outputs.keep(&key, &output), key })
            }
            (Kind::Get, None, None) if ret.is_none() => {
                Ok(TextOp::Get { output: Output::from(""), key })
            }
            (Kind::Put, Some(value), None) => Ok(TextOp::Put { key, value }),
            (Kind::Append, Some(value), None) => Ok(TextOp::Append { key, value }),
            (Kind::Get, Some(_), _) => Err("a get has no \"value\""),
            (Kind::Get, None, Some(_)) => Err("a get that was never answered has no \"output\""),
            (Kind::Get, None, None) => Err("a get that was answered has an \"output\""),
            (Kind::Put | Kind::Append, None, _) => Err("a put or append has a \"value\""),
            (Kind::Put | Kind::Append, _, Some(_)) => Err("a put or append has no \"output\""),
        }
        .map_err(String::from)
    }

    fn versioned_op(self) -> Result<VersionedOp, String> {
        match self.op {
            Kind::Append => Err("with versions, there is no append".into()),
            Kind::Get => self.versioned_get(),
            Kind::Put => self.versioned_put(),
        }
    }

    fn versioned_get(self) -> Result<VersionedOp, String> {
        let Line { key, value, output, version, result, ret, .. } = self;
        let output = match (ret, output, version, result) {
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
        match value {
            None => Ok(VersionedOp::Get { key, output }),
            Some(_) => Err("a get has no \"value\"".into()),
        }
    }

    fn versioned_put(self) -> Result<VersionedOp, String> {
        let Line { key, value, output, version, result, ret, .. } = self;
        let (Some(value), Some(version), None) = (value, version, output) else {
            return Err("a versioned put has \"value\" and \"version\", and no \"output\"".into());
        };
        let answer = match (ret, result) {
            (Some(_), Some(answer)) => answer,
            (None, None) => Answer::Maybe,
            (Some(_), None) => {
                return Err("a versioned put that was answered has a \"result\"".into());
            }
            (None, Some(_)) => return Err("a put that was never answered has no \"result\"".into()),
        };
        Ok(VersionedOp::Put { key, value, version, answer })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    texts: Vec<Operation<TextOp>>,
    versioned: Vec<Operation<VersionedOp>>,
    outputs: Outputs,
    /// The first line that tells of which kind the file is, and whether that is the one with versions.
    kind: Option<(usize, bool)>,
    /// The lines before that.
    waiting: Vec<Line>,
}

impl Reader {
    fn take(&mut self, number: usize, line: Line) -> Result<(), String> {
        if let Some(ret) = line.ret.filter(|ret| *ret < line.call) {
            return Err(format!("it returns at {ret}, before its call at {}", line.call));
        }
        match (self.kind, line.is_versioned()) {
            (None, None) => {
                self.waiting.push(line);
                return Ok(());
            }
            (None, Some(versioned)) => {
                self.kind = Some((number, versioned));
                self.take_waiting()?;
            }
            (Some((first, before)), Some(versioned)) if versioned != before => {
                let has = |versioned| if versioned { "versions" } else { "none" };
                let (this, that) = (has(versioned), has(before));
                return Err(format!(
                    "all have versions, or none has; this has {this}, line {first} {that}"
                ));
            }
            (Some(_), _) => {}
        }
        self.push(line)
    }

    fn take_waiting(&mut self) -> Result<(), String> {
        std::mem::take(&mut self.waiting).into_iter().try_for_each(|line| self.push(line))
    }

    fn push(&mut self, line: Line) -> Result<(), String> {
        if self.kind.is_some_and(|(_, versioned)| versioned) {
            self.versioned.push(line.operation(Line::versioned_op)?);
        } else {
            self.texts.push(line.operation(|line| line.text_op(&mut self.outputs))?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<History, String> {
        self.take_waiting()?;
        follow_one_another(&self.texts)?;
        follow_one_another(&self.versioned)?;
        match (self.texts.is_empty(), self.versioned.is_empty()) {
            (true, true) => Err("there is no operation in it".into()),
            (false, _) => Ok(History::Texts(self.texts)),
            (true, false) => Ok(History::Versioned(self.versioned)),
        }
    }
}

/// Whether each client did one thing at a time.
fn follow_one_another<Op>(history: &[Operation<Op>]) -> Result<(), String> {
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|op| {
        let Operation { client, call, ret, .. } = &history[*op];
        (*client, *call, ret.is_none(), *ret)
    });
    for pair in order.windows(2) {
        let (first, second) = (&history[pair[0]], &history[pair[1]]);
        if first.client != second.client || first.ret.is_some_and(|ret| ret <= second.call) {
            continue;
        }
        let (client, line, before) = (second.client, pair[1] + 1, pair[0] + 1);
        return Err(match first.ret {
            Some(_) => format!(
                "line {line}: client {client} calls before its operation of line {before} returns; \
                 a client does one thing at a time, so give each thread a number of its own"
            ),
            None => format!(
                "line {line}: client {client} has an operation of unknown outcome in line {before}; \
                 let it go on under another number"
            ),
        });
    }
    Ok(())
}
