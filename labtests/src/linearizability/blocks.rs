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
//! there? And can the [blocks be ordered](super::zones)?

use super::authors::{Reading, Values};
use super::model::{Decision, Why};
use super::span::Spans;
use super::text::{self, TextOp};
use super::zones::{self, Block, Standing};
use std::collections::BTreeMap;

/// Whether the operations of a key are linearizable; `None` if what was read doesn't tell who wrote it.
pub fn decide(ops: &[&TextOp], spans: &Spans) -> Option<Decision> {
    const NO: Decision = Decision::Illegal(Why::Unknown);
    let values = Values::of(ops, spans)?;
    let mut readings = Vec::new();
    let mut certain = true;
    for line in text::lines(ops) {
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

impl Reading {
    fn is_certain(&self) -> bool {
        self.pieces.iter().all(|piece| piece.author.is_some())
    }

    /// Its block, which has this number; `None` if something was called after the return of what comes later in it, or saw half an append,
    /// or was seen in another block, or twice.
    fn block(&self, number: u32, standing: &mut [Standing], spans: &Spans) -> Option<Block> {
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
