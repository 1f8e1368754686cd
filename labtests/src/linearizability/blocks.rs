//! The verdict on texts whose every part tells who wrote it, without a search.
//!
//! # When
//!
//! Of every piece of every text that was read, it is certain which write has made it (`authors.rs`): say, because no
//! two writes of the key have the same value.
//!
//! # Why this decides
//!
//! Between a put and the next one, the text only grows, so all texts that were read then begin one another: the
//! longest gives the appends in their order, and between which of them each get was. An append that is in no text
//! that was read came after the last get before a put, or after the last of all. Hence, in any order that explains
//! the answers, these are *blocks*, into which no other write comes: a put, or the beginning, with all gets that saw
//! what was made of it and the appends that they saw; and every write that nobody saw, for itself. Conversely, let
//! all blocks follow one another in any order, only the beginning's first: what nobody saw comes between a block's
//! last get and the next put, and every get sees what it answered. Writes of unknown outcome that nobody saw may as
//! well never have happened.
//!
//! So there are two questions. Within a block, is nothing called after the return of something that comes later
//! there? And can the blocks be ordered? Block X must be before Y if something of X returned before something of Y
//! was called, that is, if `X.first_ret < Y.last_call`. Where this has a cycle, a shortest one is of two blocks: in a
//! longer one, X before Y before Z, but X not before Z, for the cycle would be shorter. So
//! `Y.first_ret < Z.last_call <= X.first_ret`: Y's first return is before X's; and so on around the cycle, until it
//! is before itself. So look at pairs (Gibbons and Korach, "Testing Shared Memories", 1997, whose zones
//! these are). All else is sorting.

use super::Span;
use super::authors::{Reading, Values};
use super::text::{self, TextOp};
use std::collections::BTreeMap;

/// Whether the operations of a key are linearizable; `None` if what was read doesn't tell who wrote it.
pub fn decide(ops: &[&TextOp], spans: &[Span]) -> Option<bool> {
    if spans.iter().any(|span| span.after.is_some()) {
        return None;
    }
    let values = Values::of(ops, spans)?;
    let mut readings = Vec::new();
    for line in text::lines(ops) {
        let Ok(of_line) = values.readings(&line) else { return Some(false) };
        for reading in of_line {
            let reading = reading?;
            if reading.pieces.iter().any(|piece| piece.author.is_none()) {
                return None;
            }
            readings.push(reading);
        }
    }
    let Some(epochs) = epochs(readings) else { return Some(false) };
    let mut seen = vec![false; ops.len()];
    let mut blocks = Vec::new();
    for epoch in epochs.values() {
        for piece in &epoch.pieces {
            // An append that was seen after two puts, or twice after one.
            if std::mem::replace(&mut seen[piece.author?], true) {
                return Some(false);
            }
        }
        match epoch.block(spans) {
            None => return Some(false),
            Some(block) => blocks.push(block),
        }
    }
    let unseen = |op: &usize| {
        !seen[*op] && spans[*op].ret.is_some() && !matches!(ops[*op], TextOp::Get { .. })
    };
    let alone = |op: usize| Block { first_ret: spans[op].end(), last_call: spans[op].call };
    blocks.extend((0..ops.len()).filter(unseen).map(alone));
    Some(can_be_ordered(blocks))
}

/// All that was seen, by the put that began it; `None` if two texts after one put don't agree.
fn epochs(readings: Vec<Reading>) -> Option<BTreeMap<Option<usize>, Reading>> {
    let mut epochs = BTreeMap::<_, Reading>::from([(None, Reading::default())]);
    for Reading { put, mut pieces, gets } in readings {
        let epoch = epochs.entry(put).or_insert(Reading { put, ..Reading::default() });
        epoch.gets.extend(gets);
        if pieces.len() > epoch.pieces.len() {
            std::mem::swap(&mut pieces, &mut epoch.pieces);
        }
        if !epoch.pieces.starts_with(&pieces) {
            return None;
        }
    }
    Some(epochs)
}

/// What can be said of a block from outside.
struct Block {
    first_ret: u32,
    last_call: u32,
}

impl Reading {
    /// Its block; `None` if something was called after the return of what comes later in it, or saw half an append.
    fn block(&self, spans: &[Span]) -> Option<Block> {
        // By what the text was: first what made it, then who saw it.
        let mut rounds: BTreeMap<usize, (Option<usize>, Vec<usize>)> = BTreeMap::new();
        if self.put.is_none() {
            rounds.insert(0, (None, Vec::new()));
        }
        for piece in &self.pieces {
            rounds.insert(piece.len, (piece.author, Vec::new()));
        }
        for (len, op) in &self.gets {
            rounds.get_mut(len)?.1.push(*op);
        }
        // Nobody comes before the beginning.
        let mut block = Block { first_ret: u32::MAX, last_call: 0 };
        if self.put.is_none() {
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
