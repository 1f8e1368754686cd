//! Why a history is not linearizable.

use super::search::{Budget, Longest, Search};
use super::shrink::{Few, shrink};
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

/// How many operations are shown: the last. There are more only where to shrink the history was too hard.
const ROWS: usize = 40;

/// How many operations of the longest order are shown: the last ones.
const LAST: usize = 12;

impl Contradiction {
    /// The one in the operations of a key, for which there is no order.
    pub(super) fn of<M: Model>(history: &[Operation<M::Op>], part: &Part<'_, M>) -> Contradiction {
        let few = shrink(part);
        let key = M::key(part.ops[0]).to_string();
        let operations: Vec<usize> = few.shown.iter().map(|op| few.part.places[*op]).collect();
        let is_other = |op: &usize| M::writes(few.part.ops[*op]) && !few.shown.contains(op);
        let writes = (0..few.part.ops.len()).filter(is_other).count();
        let reads = part.ops.len() - few.shown.len() - writes;
        let title = format!("no order of these operations on key {key:?} explains their answers:");
        let table = table::<M>(history, &operations);
        let paragraphs = [vec![title, table], left_out(reads, writes), why(&few)].concat();
        let text = paragraphs.join("\n\n");
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
    let more = operations.len().saturating_sub(ROWS);
    let rows: Vec<_> = std::iter::once(header).chain(operations[more..].iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |[number, client, call, ret, asked, answer]: &[String; 6]| {
        let [a, b, c, d, e] = widths;
        let line =
            format!("{number:>a$}  {client:>b$}  {call:>c$}  {ret:>d$}  {asked:<e$}  {answer}");
        line.trim_end().to_string()
    };
    before(more).into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// That there are more.
fn before(more: usize) -> Option<String> {
    (more > 0).then(|| format!("({more} before these)"))
}

/// What isn't shown, and may be as it will.
fn left_out(reads: usize, writes: usize) -> Vec<String> {
    let count = |number, what| match number {
        1 => format!("1 other {what}"),
        _ => format!("{number} other {what}s"),
    };
    let may = "may be at any time after the call, or never";
    let text = match (reads, writes) {
        (0, 0) => return Vec::new(),
        (_, 0) => format!("{} left out.", count(reads, "read")),
        (0, _) => format!("{} {may}.", count(writes, "write")),
        _ => format!("{} left out; {} {may}.", count(reads, "read"), count(writes, "write")),
    };
    vec![text]
}

/// The longest order, and what doesn't fit then.
fn why<M: Model>(Few { part, shown }: &Few<'_, M>) -> Vec<String> {
    let model = M::new(&part.ops);
    let mut search = Search::new(&model, &part.ops, &part.spans);
    let verdict = search.run(&mut Budget::new(Limit::Steps(STEPS)));
    let longest = search.longest().filter(|_| verdict == Some(false));
    let Some(Longest { order, misfit }) = longest else { return Vec::new() };
    let ops: Vec<&M::Op> = order.iter().map(|op| part.ops[*op]).collect();
    let (would, did) = (M::answer_after(&ops, part.ops[misfit]), M::answer(part.ops[misfit]));
    let (would, did) = apart(&would, &did);
    let misfit = format!("#{} would be answered {would}, and not {did}", part.places[misfit] + 1);
    if order.is_empty() {
        return vec![format!("At first, {misfit}")];
    }
    let line = |op: &usize| {
        let (number, asked) = (part.places[*op] + 1, tail(&M::asked(part.ops[*op])));
        let other = if shown.contains(op) { "" } else { " (one of the others)" };
        format!("  #{number} {asked}{other}")
    };
    let more = order.len().saturating_sub(LAST);
    let lines: Vec<_> = before(more).into_iter().chain(order[more..].iter().map(line)).collect();
    let title = "The longest order that fits:".into();
    vec![title, lines.join("\n"), format!("Then {misfit}")]
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
