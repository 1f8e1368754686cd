//! Decides about texts without a search, if every part of them tells which write made it.
//!
//! # When
//!
//! This works if it is certain which write made each piece of each text that was read (`authors.rs`); for example, because no
//! two writes of the key have the same value.
//!
//! # Why this decides
//!
//! Between a put and the next one, the text only grows. So all texts that were read in that time are prefixes of one another:
//! the longest one gives the order of the appends, and shows between which of them each get was. An append that is in no text
//! that was read came after the last get before a put, or after the last get of all. Hence, in any order that explains the
//! answers, the following groups are *blocks*, and no other write comes inside a block. One kind of block is a put (or the
//! beginning), with all gets that saw the text that grew from it, and the appends that they saw. Each write that nobody saw is
//! a block by itself. Conversely, take any order of the blocks in which the block of the beginning comes first. Place the
//! unseen writes between the last get of a block and the next put; then every get sees what it answered. Writes of unknown
//! outcome that nobody saw can be treated as if they never happened.
//!
//! So two questions remain. Within a block, is an operation called after the return of an operation that comes later in the
//! block? And can the [blocks be ordered](super::zones)?

use super::authors::{Reading, Values};
use super::model::{Decision, Why};
use super::span::Spans;
use super::text_op::{TextOp, lines};
use super::zones::{self, Block, Standing};
use std::collections::BTreeMap;

/// Whether the operations of a key are linearizable; `None` if what was read doesn't tell which writes made it.
pub fn decide(ops: &[&TextOp], spans: &Spans) -> Option<Decision> {
    const NO: Decision = Decision::Illegal(Why::Unknown);
    let values = Values::of(ops, spans)?;
    let mut readings = Vec::new();
    let mut certain = true;
    for line in lines(ops) {
        let Ok(of_line) = values.readings(&line) else { return Some(NO) };
        for reading in of_line {
            match reading.filter(Reading::is_certain) {
                Some(reading) => readings.push(reading),
                None => certain = false,
            }
        }
    }
    if !certain {
        return None;
    }
    let Some(epochs) = epochs(readings) else { return Some(NO) };
    let mut standing: Vec<Standing> = vec![None; ops.len()];
    let mut blocks = Vec::new();
    for epoch in epochs.values() {
        match epoch.block(blocks.len() as u32, &mut standing, spans) {
            None => return Some(NO),
            Some(block) => blocks.push(block),
        }
    }
    for (op, span) in spans.iter().enumerate() {
        let is_write = !matches!(ops[op], TextOp::Get { .. });
        if is_write && standing[op].is_none() && span.ret.is_some() {
            standing[op] = Some((blocks.len() as u32, 0));
            blocks.push(Block::of(op, *span));
        }
    }
    let ordered = zones::order(&blocks, &standing, spans);
    Some(if ordered.is_ok() { Decision::Legal } else { NO })
}

/// All readings, by the put at their beginning; `None` if two texts after the same put don't agree.
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

impl Reading {
    fn is_certain(&self) -> bool {
        self.pieces.iter().all(|piece| piece.author.is_some())
    }

    /// The block of this reading, which gets this number. `None` if an operation was called after the return of an operation
    /// that comes later in the block, if a get saw half an append, or if an operation already belongs to a block.
    fn block(&self, number: u32, standing: &mut [Standing], spans: &Spans) -> Option<Block> {
        // Sorted by the length of the text: first the write that made it, then the gets that saw it.
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
        let mut block = match self.put {
            None => Block::beginning(),
            Some(put) => Block::of(put, spans[put]),
        };
        let (mut last_call, mut rank) = (0, 0);
        for (write, gets) in rounds.into_values() {
            for together in [write.as_slice(), &gets] {
                if together.iter().any(|op| spans[*op].end() < last_call) {
                    return None;
                }
                rank += 1;
                for op in together {
                    if standing[*op].replace((number, rank)).is_some() {
                        return None;
                    }
                    block.add(*op, spans[*op]);
                    last_call = last_call.max(spans[*op].call);
                }
            }
        }
        Some(block)
    }
}
