//! The verdict on texts whose every part tells who wrote it, without a search.
//!
//! # When
//!
//! No two writes of the key have the same value, none has an empty one, and no value begins with another one. So a text
//! that was read can be taken apart in one way only: into the put (or the beginning, where all was empty) and the appends that
//! made it. What can't be taken apart, or names a put anywhere but first, nobody may have read.
//!
//! # Why this decides
//!
//! Between a put and the next one, the text only grows, so all texts that were read then begin one another: the longest
//! gives the appends in their order, and between which of them each get was. An append that is in no text that was read came
//! after the last get before a put, or after the last of all. Hence, in any order that explains the answers, these are
//! *blocks*, into which no other write comes: a put, or the beginning, with all gets that saw something of it and the writes before
//! the last of these; and every write that nobody saw, for itself. Conversely, let all blocks follow one another in any
//! order, only the beginning's first: what nobody saw comes between a block's last get and the next put, and every get sees
//! what it answered. Writes of unknown outcome that nobody saw may as well never have happened.
//!
//! So there are two questions. Within a block, is nothing called after the return of something that comes later there? And
//! can the blocks be ordered? Block X must be before Y if something of X returned before something of Y was called, that is, if
//! `X.first_ret < Y.last_call`. Where this has a cycle, a shortest one is of two blocks: in a longer one, X before Y before Z, but
//! X not before Z, for the cycle would be shorter. So `Z.last_call <= X.first_ret`, and with `Y.first_ret < Z.last_call`, Y's first return
//! is before X's; and so on around the cycle, until it is before itself. So look at pairs (Gibbons and Korach, "Testing Shared
//! Memories", 1997, whose zones these are). All else is sorting.

use super::Span;
use super::text::{Lines, TextOp};
use std::collections::BTreeMap;

/// Whether the operations of a key are linearizable; `None` if their values don't tell.
pub fn decide(ops: &[&TextOp], spans: &[Span]) -> Option<bool> {
    if spans.iter().any(|span| span.after.is_some()) {
        return None;
    }
    let values = Values::of(ops)?;
    let Some(epochs) = epochs(ops, &values) else { return Some(false) };
    let mut seen = vec![false; ops.len()];
    let mut blocks = Vec::new();
    for epoch in epochs.values() {
        for (op, _) in &epoch.writes {
            // An append that was seen after two puts, or twice after one.
            if std::mem::replace(&mut seen[*op], true) {
                return Some(false);
            }
        }
        match epoch.block(spans) {
            None => return Some(false),
            Some(block) => blocks.push(block),
        }
    }
    let unseen = |op: &usize| !seen[*op] && spans[*op].ret.is_some() && !is_get(ops[*op]);
    let alone = |op: usize| Block { first_ret: spans[op].end(), last_call: spans[op].call };
    blocks.extend((0..ops.len()).filter(unseen).map(alone));
    Some(can_be_ordered(blocks))
}

fn is_get(op: &TextOp) -> bool {
    matches!(op, TextOp::Get { .. })
}

/// All values written, in their order, each with its operation.
struct Values<'a>(Vec<(&'a [u8], usize)>);

impl<'a> Values<'a> {
    /// `None` if some begins with another, or is empty.
    fn of(ops: &[&'a TextOp]) -> Option<Values<'a>> {
        let value = |(number, op): (usize, &&'a TextOp)| match op {
            TextOp::Put { value, .. } | TextOp::Append { value, .. } => {
                Some((value.as_bytes(), number))
            }
            TextOp::Get { .. } => None,
        };
        let mut values: Vec<_> = ops.iter().enumerate().filter_map(value).collect();
        values.sort_unstable();
        // What begins with a value stands right after it.
        let tells_apart = values.windows(2).all(|pair| !pair[1].0.starts_with(pair[0].0));
        let empty = values.first().is_some_and(|(value, _)| value.is_empty());
        (tells_apart && !empty).then_some(Values(values))
    }

    /// The one with which the text begins: the last that doesn't stand behind it.
    fn first_of(&self, text: &[u8]) -> Option<(&'a [u8], usize)> {
        let before = self.0.partition_point(|(value, _)| *value <= text);
        let (value, op) = *self.0.get(before.checked_sub(1)?)?;
        text.starts_with(value).then_some((value, op))
    }

    /// The writes that made a text, each with the length that it had then. `None`: nothing can have made it.
    fn parts(&self, ops: &[&TextOp], text: &[u8]) -> Option<Vec<(usize, usize)>> {
        let (mut parts, mut len) = (Vec::new(), 0);
        while len < text.len() {
            let (value, op) = self.first_of(&text[len..])?;
            if len > 0 && matches!(ops[op], TextOp::Put { .. }) {
                return None;
            }
            len += value.len();
            parts.push((op, len));
        }
        Some(parts)
    }
}

/// From a put, or the beginning, up to the last thing that was seen before the next.
#[derive(Default)]
struct Epoch {
    /// The writes in their order, with the length that the text had after each.
    writes: Vec<(usize, usize)>,
    /// The gets, with the lengths of what they saw.
    gets: Vec<(usize, usize)>,
    is_first: bool,
}

/// All that were seen, by the put that began them; `None` if some text can't have been read.
fn epochs(ops: &[&TextOp], values: &Values<'_>) -> Option<BTreeMap<Option<usize>, Epoch>> {
    let put_of = |writes: &[(usize, usize)]| {
        let first = writes.first().map(|(op, _)| *op);
        first.filter(|op| matches!(ops[*op], TextOp::Put { .. }))
    };
    let mut epochs = BTreeMap::new();
    epochs.insert(None, Epoch { is_first: true, ..Epoch::default() });
    let lines = Lines::of(ops);
    let mut epoch_of = Vec::new();
    for text in &lines.texts {
        let writes = values.parts(ops, text.as_bytes())?;
        let put = put_of(&writes);
        epoch_of.push(put);
        let epoch: &mut Epoch = epochs.entry(put).or_default();
        let (long, short) = match writes.len() > epoch.writes.len() {
            true => (writes, std::mem::take(&mut epoch.writes)),
            false => (std::mem::take(&mut epoch.writes), writes),
        };
        let agree = long.starts_with(&short);
        epoch.writes = long;
        if !agree {
            return None;
        }
    }
    for (op, at) in lines.of_op.iter().enumerate() {
        let Some((line, len)) = *at else { continue };
        let epoch = epochs.get_mut(if len == 0 { &None } else { &epoch_of[line] })?;
        epoch.gets.push((op, len));
    }
    Some(epochs)
}

/// What can be said of a block from outside.
struct Block {
    first_ret: u32,
    last_call: u32,
}

impl Epoch {
    /// Its block; `None` if something was called after the return of what comes later in it, or saw half an append.
    fn block(&self, spans: &[Span]) -> Option<Block> {
        // By what the text was: first what made it, then who saw it.
        let mut rounds: BTreeMap<usize, (Option<usize>, Vec<usize>)> = BTreeMap::new();
        if self.is_first {
            rounds.insert(0, (None, Vec::new()));
        }
        for (op, len) in &self.writes {
            rounds.insert(*len, (Some(*op), Vec::new()));
        }
        for (op, len) in &self.gets {
            rounds.get_mut(len)?.1.push(*op);
        }
        // Nobody comes before the beginning.
        let mut block = Block { first_ret: u32::MAX, last_call: 0 };
        if self.is_first {
            block.first_ret = 0;
        }
        for (write, gets) in rounds.into_values() {
            for together in [write.as_slice(), &gets] {
                if together.iter().any(|op| spans[*op].end() < block.last_call) {
                    return None;
                }
                for op in together {
                    block.first_ret = block.first_ret.min(spans[*op].end());
                    block.last_call = block.last_call.max(spans[*op].call);
                }
            }
        }
        Some(block)
    }
}

/// Whether there are no two blocks that must be before each other.
fn can_be_ordered(blocks: Vec<Block>) -> bool {
    let spread = |block: &Block| block.first_ret < block.last_call;
    // A block of this kind lasts from its first return to its last call, whatever the order; two such can't overlap.
    let (mut lasting, brief): (Vec<_>, Vec<_>) = blocks.into_iter().partition(spread);
    lasting.sort_unstable_by_key(|block| block.first_ret);
    if lasting.windows(2).any(|pair| pair[1].first_ret < pair[0].last_call) {
        return false;
    }
    // All of the other kind may happen at one moment. It must not lie wholly within a lasting one.
    brief.iter().all(|brief| {
        let before = lasting.partition_point(|block| block.first_ret < brief.last_call);
        let last = before.checked_sub(1).map(|last| &lasting[last]);
        last.is_none_or(|lasting| brief.first_ret >= lasting.last_call)
    })
}
