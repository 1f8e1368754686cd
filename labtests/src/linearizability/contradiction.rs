//! Why a history is not linearizable.

use super::search::{Budget, Longest, Search};
use super::shrink::shrink;
use super::{Limit, Model, Operation, Part};
use labrpc::time::{Duration, Instant};
use std::fmt;

/// A few operations on one key that no order explains, whatever all others did, and why not. It reads as a text.
pub struct Contradiction {
    /// The key.
    pub key: String,
    /// Their indices in the history, in the order of their calls.
    pub operations: Vec<usize>,
    text: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many steps the longest order may take to find.
const STEPS: u64 = 200_000;

/// How many operations are shown. There are more only where to shrink the history was too hard.
const ROWS: usize = 40;

/// How many operations of the longest order are shown: the last ones.
const LAST: usize = 12;

impl Contradiction {
    /// The one in the operations of a key, for which there is no order.
    pub(super) fn of<M: Model>(history: &[Operation<M::Op>], part: &Part<'_, M>) -> Contradiction {
        let few = shrink(part);
        let mut asked: Vec<usize> = (0..few.ops.len()).filter(|op| few.is_asked(*op)).collect();
        asked.sort_by_key(|op| few.spans[*op].call);
        let key = M::key(part.ops[0]).to_string();
        let operations: Vec<usize> = asked.iter().map(|op| few.places[*op]).collect();
        let text = format!(
            "no order of these operations on key {key:?} explains their answers:\n\n{}\n{}{}",
            table::<M>(history, &operations),
            left_out(part.ops.len() - few.ops.len(), few.ops.len() - asked.len()),
            why(&few)
        );
        Contradiction { key, operations, text }
    }
}

/// The operations, a row for each.
fn table<M: Model>(history: &[Operation<M::Op>], operations: &[usize]) -> String {
    let time =
        |at: Instant| format!("{:?}", at.saturating_duration_since(Instant::at(Duration::ZERO)));
    let row = |number: &usize| {
        let Operation { client, call, ret, op } = &history[*number];
        let ret = ret.map_or("never".into(), time);
        let (asked, answer) = (tail(&M::asked(op)), tail(&M::answer(op)));
        [(number + 1).to_string(), client.to_string(), time(*call), ret, asked, answer]
    };
    let header = ["#", "client", "call", "return", "operation", "answer"].map(String::from);
    let rows: Vec<_> =
        std::iter::once(header).chain(operations.iter().take(ROWS).map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |[number, client, call, ret, asked, answer]: &[String; 6]| {
        let [a, b, c, d, e] = widths;
        let line =
            format!("{number:>a$}  {client:>b$}  {call:>c$}  {ret:>d$}  {asked:<e$}  {answer}");
        line.trim_end().to_string() + "\n"
    };
    let more = operations.len().saturating_sub(ROWS);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    rows.iter().map(line).collect::<String>() + &more
}

/// What isn't asked for.
fn left_out(reads: usize, writes: usize) -> String {
    let reads = match reads {
        0 => String::new(),
        reads => format!("Left out: {reads} that only read. "),
    };
    let writes = match writes {
        0 => String::new(),
        writes => format!("{writes} other writes may have been at any time, or never."),
    };
    match reads + &writes {
        text if text.is_empty() => text,
        text => format!("{}\n", text.trim_end()),
    }
}

/// The longest order, and what doesn't fit then.
fn why<M: Model>(few: &Part<'_, M>) -> String {
    let model = M::new(&few.ops);
    let mut search = Search::new(&model, &few.ops, &few.spans);
    search.run(&mut Budget::new(Limit::Steps(STEPS)));
    let Some(Longest { order, misfit }) = search.longest() else { return String::new() };
    let ops: Vec<&M::Op> = order.iter().map(|op| few.ops[*op]).collect();
    let (would, did) = apart(&M::answer_after(&ops, few.ops[misfit]), &M::answer(few.ops[misfit]));
    let misfit = few.places[misfit] + 1;
    if order.is_empty() {
        return format!("At first, #{misfit} would be answered {would}, and not {did}.");
    }
    let more = order.len().saturating_sub(LAST);
    let mut text = String::from("The longest order that fits:\n\n");
    if more > 0 {
        text += &format!("  after {more} others\n");
    }
    for op in &order[more..] {
        let (number, asked) = (few.places[*op] + 1, tail(&M::asked(few.ops[*op])));
        let free = if few.is_asked(*op) { "" } else { " (at any time)" };
        text += &format!("  #{number} {asked}{free}\n");
    }
    text + &format!("\nThen #{misfit} would be answered {would}, and not {did}.")
}

/// The longest text that is shown.
const WIDTH: usize = 40;

/// A text's end, if it is long: what grows differs there.
fn tail(text: &str) -> String {
    match text.chars().count().checked_sub(WIDTH) {
        None | Some(0) => text.into(),
        Some(more) => std::iter::once('…').chain(text.chars().skip(more + 1)).collect(),
    }
}

/// Two texts, from a little before they begin to differ.
fn apart(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let skip = same.saturating_sub(WIDTH / 2);
    let cut = |text: &str| {
        let mut shown: String = text.chars().skip(skip).take(WIDTH).collect();
        if skip > 0 {
            shown.insert(0, '…');
        }
        if text.chars().count() > skip + WIDTH {
            shown.push('…');
        }
        shown
    };
    (cut(one), cut(other))
}
