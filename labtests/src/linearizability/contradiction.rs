//! Explains why a history is not linearizable.

use super::budget::Budget;
use super::model::Why;
use super::search::{Longest, Search};
use super::shrink::{Few, shrink};
use super::window::window;
use super::{Limit, Model, Operation, Part};
use labrpc::time::{Duration, Instant};
use serde::Serialize;
use std::fmt;

/// A few operations on one key that no order explains, whatever the other operations did, with the reason. Its `Display` is a
/// text for people.
#[derive(Clone, Serialize)]
pub struct Contradiction {
    /// The key.
    pub key: String,
    /// The indices of the operations in the history, in the order of their calls.
    pub operations: Vec<usize>,
    /// The same operations, as they are shown.
    pub rows: Vec<Row>,
    /// Whether there would certainly be an order if any of these operations were less constrained.
    pub minimal: bool,
    /// The longest order that fits, as indices in the history.
    pub longest: Vec<usize>,
    /// The operation that does not fit after that order, if one was found.
    pub misfit: Option<usize>,
    /// The explanation, for people.
    pub text: String,
}

/// An operation as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name of the operation: its number in the history, or its line.
    pub name: String,
    /// The client.
    pub client: u64,
    /// When it was called, in nanoseconds.
    pub call: u64,
    /// When it returned, in nanoseconds.
    #[serde(rename = "return")]
    pub ret: Option<u64>,
    /// The request.
    pub operation: String,
    /// The answer.
    pub answer: String,
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

/// How many steps the search for the longest order may take.
const STEPS: u64 = 200_000;

/// How many operations are shown: the last ones. There are more only if it was too hard to shrink the history.
const ROWS: usize = 40;

/// How many operations of the longest order are shown: the last ones.
const LAST: usize = 12;

impl Contradiction {
    /// What a run's trace calls it.
    pub const NAME: &'static str = "contradiction";

    /// The contradiction in the operations of a key for which there is no order.
    pub(super) fn of<M: Model>(
        history: &[Operation<M::Op>],
        part: &Part<'_, M>,
        why: &Why,
        name: &dyn Fn(usize) -> String,
    ) -> Contradiction {
        let window = window(part, why);
        let few = shrink(window.as_ref().unwrap_or(part));
        let key = part.key().to_string();
        let operations: Vec<usize> = few.shown.iter().map(|op| few.part.places[*op]).collect();
        let writes = part.ops.iter().filter(|op| M::writes(op)).count();
        let shown_writes = few.shown.iter().filter(|op| M::writes(few.part.ops[**op])).count();
        let reads = part.ops.len() - writes - (few.shown.len() - shown_writes);
        let on = if key.is_empty() { String::new() } else { format!(" on key {key:?}") };
        let before = if few.part.from_anything { ", whatever was there before" } else { "" };
        let title = format!("no order of these operations{on} explains their answers{before}:");
        let rows: Vec<Row> =
            operations.iter().map(|place| row::<M>(history, *place, name)).collect();
        let (longest, misfit) = longest(&few).unzip();
        let mut paragraphs = vec![title, table(&rows)];
        paragraphs.extend(left_out(reads, writes - shown_writes));
        if !few.minimal {
            paragraphs.push(
                "Fewer operations may be enough: the search for a smaller set was stopped.".into(),
            );
        }
        if let (Some(order), Some(misfit)) = (&longest, misfit) {
            paragraphs.extend(fits(&few, order, misfit, name));
        }
        let place = |op: usize| few.part.places[op];
        Contradiction {
            key,
            operations,
            rows,
            minimal: few.minimal,
            longest: longest.unwrap_or_default().into_iter().map(place).collect(),
            misfit: misfit.map(place),
            text: paragraphs.join("\n\n"),
        }
    }
}

/// An operation as it is shown.
pub(super) fn row<M: Model>(
    history: &[Operation<M::Op>],
    place: usize,
    name: &dyn Fn(usize) -> String,
) -> Row {
    let nanos = |at: Instant| {
        let since = at.saturating_duration_since(Instant::at(Duration::ZERO));
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    let Operation { client, call, ret, op } = &history[place];
    Row {
        name: name(place),
        client: *client,
        call: nanos(*call),
        ret: ret.map(nanos),
        operation: M::asked(op),
        answer: M::answer(op),
    }
}

/// The operations, one per line.
fn table(rows: &[Row]) -> String {
    let time = |nanos| format!("{:?}", Duration::from_nanos(nanos));
    let row = |row: &Row| {
        let ret = row.ret.map_or("never".into(), time);
        [
            row.name.clone(),
            row.client.to_string(),
            time(row.call),
            ret,
            tail(&row.operation),
            tail(&row.answer),
        ]
    };
    let header = ["#", "client", "call", "return", "operation", "answer"].map(String::from);
    let more = rows.len().saturating_sub(ROWS);
    let rows: Vec<_> = std::iter::once(header).chain(rows[more..].iter().map(row)).collect();
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

/// Says that there are more operations.
fn before(more: usize) -> Option<String> {
    (more > 0).then(|| format!("({more} before these)"))
}

/// Describes the operations that are not shown and are not restricted.
fn left_out(reads: usize, writes: usize) -> Vec<String> {
    let count = |number, what| match number {
        1 => format!("1 other {what}"),
        _ => format!("{number} other {what}s"),
    };
    let may = "may take effect at any time after the call, or never";
    let text = match (reads, writes) {
        (0, 0) => return Vec::new(),
        (_, 0) => format!("Left out: {}.", count(reads, "read")),
        (0, _) => format!("{} {may}.", count(writes, "write")),
        _ => format!("Left out: {}; {} {may}.", count(reads, "read"), count(writes, "write")),
    };
    vec![text]
}

/// The longest order, and the operation that doesn't fit after it.
fn longest<M: Model>(Few { part, .. }: &Few<'_, M>) -> Option<(Vec<usize>, usize)> {
    let steps = part.plain_steps();
    let mut search = Search::new::<M>(&*steps, &part.ops, &part.spans);
    let verdict = search.run(&mut Budget::new(Limit::Steps(STEPS)));
    let longest = search.longest().filter(|_| verdict == Some(false));
    longest.map(|Longest { order, misfit }| (order, misfit))
}

/// Describes that order.
fn fits<M: Model>(
    Few { part, shown, .. }: &Few<'_, M>,
    order: &[usize],
    misfit: usize,
    name: &dyn Fn(usize) -> String,
) -> Vec<String> {
    let did = M::answer(part.ops[misfit]);
    let would = state_after(part, order)
        .and_then(|state| part.model.would_answer(&state, part.ops[misfit]));
    let number = name(part.places[misfit]);
    let misfit = match would {
        Some(would) => {
            let (would, did) = apart(&would, &did);
            format!("the answer to #{number} would be {would}, not {did}")
        }
        None => format!("the answer to #{number} can't be {}", tail(&did)),
    };
    if order.is_empty() {
        return vec![format!("At the start, {misfit}")];
    }
    let line = |op: &usize| {
        let (number, asked) = (name(part.places[*op]), tail(&M::asked(part.ops[*op])));
        let other = if shown.contains(op) { "" } else { " (one of the others)" };
        format!("  #{number} {asked}{other}")
    };
    let more = order.len().saturating_sub(LAST);
    let lines: Vec<_> = before(more).into_iter().chain(order[more..].iter().map(line)).collect();
    let title = "The longest order that fits:".into();
    vec![title, lines.join("\n"), format!("After these, {misfit}")]
}

/// The state of the service after these operations, if it is known.
fn state_after<M: Model>(part: &Part<'_, M>, order: &[usize]) -> Option<M::State> {
    let initial = (!part.from_anything).then(|| part.model.initial());
    order.iter().map(|op| part.ops[*op]).fold(initial, |state, op| match state {
        Some(state) => part.model.step(&state, op),
        None => part.model.shown(op),
    })
}

/// The maximum width of a text that is shown.
const WIDTH: usize = 40;

/// The end of a text, if the text is long. Texts that grow differ at their ends.
fn tail(text: &str) -> String {
    match text.chars().count().checked_sub(WIDTH) {
        None | Some(0) => text.into(),
        Some(more) => std::iter::once('…').chain(text.chars().skip(more + 1)).collect(),
    }
}

/// Two texts, cut so that they start shortly before their first difference.
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
