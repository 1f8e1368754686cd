//! Finds out which write made each part of a text that was read.
//!
//! If no written value is a prefix of another and none is empty, a text can be split into values in only one way. Several
//! writes may have the same value, but usually only one of them fits in time: the lab's clients number their writes, and write
//! the same value again only in the next round.

use super::Span;
use super::text_op::{Line, TextOp};
use std::collections::BTreeMap;
use std::ops::Range;

/// What some gets saw: texts that are prefixes of one another, all from the time between one put and the next.
#[derive(Default)]
pub struct Reading {
    /// The put. `None`: the gets saw the text from before any put.
    pub put: Option<usize>,
    /// The pieces of the longest of these texts, starting with the put.
    pub pieces: Vec<Piece>,
    /// The gets, each with the length of the text that it saw, shortest first.
    pub gets: Vec<(usize, usize)>,
}

/// What one write added to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How long the text was after that.
    pub len: usize,
    /// The write; `None` if several writes are possible.
    pub author: Option<usize>,
}

/// All values that are written to a key, sorted, with their writes.
pub struct Values<'a> {
    values: Vec<Value<'a>>,
    /// The puts that certainly happened, sorted by return. Each has the latest call among the puts up to it.
    puts: Vec<(u32, u32)>,
    spans: &'a [Span],
}

struct Value<'a> {
    bytes: &'a [u8],
    puts: Vec<usize>,
    appends: Vec<usize>,
}

/// The possible answers: none, one or several.
enum Candidates<T> {
    None,
    One(T),
    Several,
}

impl<T> Candidates<T> {
    fn of(mut candidates: impl Iterator<Item = T>) -> Candidates<T> {
        match (candidates.next(), candidates.next()) {
            (None, _) => Candidates::None,
            (Some(one), None) => Candidates::One(one),
            _ => Candidates::Several,
        }
    }
}

impl<'a> Values<'a> {
    /// `None` if some value is a prefix of another, or is empty.
    pub fn of(ops: &[&'a TextOp], spans: &'a [Span]) -> Option<Values<'a>> {
        let value = |(number, op): (usize, &&'a TextOp)| match op {
            TextOp::Put { value, .. } => Some((value.as_bytes(), true, number)),
            TextOp::Append { value, .. } => Some((value.as_bytes(), false, number)),
            TextOp::Get { .. } => None,
        };
        let mut writes: Vec<_> = ops.iter().enumerate().filter_map(value).collect();
        writes.sort_unstable();
        let mut values = Vec::<Value<'_>>::new();
        let mut puts = Vec::new();
        for (bytes, is_put, op) in writes {
            match values.last() {
                // The values are sorted, so those that begin with this value come right after it.
                Some(last) if last.bytes != bytes && bytes.starts_with(last.bytes) => return None,
                Some(last) if last.bytes == bytes => {}
                _ => values.push(Value { bytes, puts: Vec::new(), appends: Vec::new() }),
            }
            let value = values.last_mut()?;
            (if is_put { &mut value.puts } else { &mut value.appends }).push(op);
            puts.extend(spans[op].ret.filter(|_| is_put).map(|ret| (ret, spans[op].call)));
        }
        puts.sort_unstable();
        let mut last_call = 0;
        for (_, call) in &mut puts {
            last_call = last_call.max(*call);
            *call = last_call;
        }
        let empty = values.first().is_some_and(|value| value.bytes.is_empty());
        (!empty).then_some(Values { values, puts, spans })
    }

    /// Splits what the gets of a line saw into readings. The result has `None` for gets if it is not certain which put came
    /// before them.
    ///
    /// # Errors
    /// Nobody can have written some part of it.
    pub fn readings(&self, line: &Line) -> Result<Vec<Option<Reading>>, Impossible> {
        let values = self.take_apart(line.text.as_bytes()).ok_or(Impossible)?;
        let mut readings = BTreeMap::<Option<Option<usize>>, Vec<(usize, usize)>>::new();
        for (len, get) in &line.gets {
            let put = match values.first().filter(|_| *len > 0) {
                // The text was empty only at the beginning.
                None => Candidates::One(None),
                Some((_, first)) => self.put(first, self.spans[*get]),
            };
            let put = match put {
                Candidates::None => return Err(Impossible),
                Candidates::One(put) => Some(put),
                Candidates::Several => None,
            };
            readings.entry(put).or_default().push((*len, *get));
        }
        let reading = |(put, gets): (Option<Option<usize>>, _)| {
            put.map(|put| self.reading(&values, put, gets)).transpose()
        };
        readings.into_iter().map(reading).collect()
    }

    /// The values that make up a text, each with the length of the text up to its end.
    fn take_apart(&self, text: &[u8]) -> Option<Vec<(usize, &Value<'a>)>> {
        let (mut values, mut len) = (Vec::new(), 0);
        while let Some(rest) = text.get(len..).filter(|rest| !rest.is_empty()) {
            // The last value that sorts at or before the rest of the text.
            let before = self.values.partition_point(|value| value.bytes <= rest);
            let value = self.values.get(before.checked_sub(1)?)?;
            if !rest.starts_with(value.bytes) {
                return None;
            }
            len += value.bytes.len();
            values.push((len, value));
        }
        Some(values)
    }

    /// The put that came before a get whose text starts with this value. The inner `None` means that there may have been no put
    /// before the get.
    fn put(&self, first: &Value<'_>, get: Span) -> Candidates<Option<usize>> {
        // Puts that ended before the call `replaced` had been replaced by another put when the get was called.
        let done = self.puts.partition_point(|(ret, _)| *ret < get.call);
        let replaced = done.checked_sub(1).map(|last| self.puts[last].1);
        let appended = |op: &usize| replaced.is_none() && self.spans[*op].call < get.end();
        let put = |op: &&usize| {
            let span = self.spans[**op];
            span.call < get.end() && replaced.is_none_or(|call| span.end() >= call)
        };
        let puts = first.puts.iter().filter(put).map(|op| Some(*op));
        Candidates::of(puts.chain(first.appends.iter().any(appended).then_some(None)))
    }

    fn reading(
        &self,
        values: &[(usize, &Value<'_>)],
        put: Option<usize>,
        gets: Vec<(usize, usize)>,
    ) -> Result<Reading, Impossible> {
        let longest = gets.last().map_or(0, |(len, _)| *len);
        let values = &values[..values.partition_point(|(len, _)| *len <= longest)];
        let times = self.times(&gets, put, values.iter().map(|(len, _)| *len));
        let mut pieces = Vec::with_capacity(values.len());
        for ((len, value), time) in values.iter().zip(times) {
            let author = match put.filter(|_| pieces.is_empty()) {
                None => self.author(value, time)?,
                put => put,
            };
            pieces.push(Piece { len: *len, author });
        }
        Ok(Reading { put, pieces, gets })
    }

    /// For each of these lengths, when the text got it, as far as gets tell: not before the call of a get that saw less, and
    /// not after the return of a get that saw that length.
    fn times(
        &self,
        gets: &[(usize, usize)],
        put: Option<usize>,
        lens: impl Iterator<Item = usize>,
    ) -> Vec<Range<u32>> {
        let mut ends = vec![u32::MAX; gets.len() + 1];
        for (at, (_, get)) in gets.iter().enumerate().rev() {
            ends[at] = ends[at + 1].min(self.spans[*get].end());
        }
        let mut less = gets.iter().peekable();
        let mut not_before = put.map_or(0, |put| self.spans[put].call);
        let time = |len| {
            while let Some((_, get)) = less.next_if(|(seen, _)| *seen < len) {
                not_before = not_before.max(self.spans[*get].call);
            }
            not_before..ends[gets.len() - less.len()]
        };
        lens.map(time).collect()
    }

    /// The append with this value that fits that time; `None` if there are several.
    fn author(&self, value: &Value<'_>, time: Range<u32>) -> Result<Option<usize>, Impossible> {
        let may = |op: &&usize| {
            let span = self.spans[**op];
            span.call < time.end && span.end() > time.start
        };
        match Candidates::of(value.appends.iter().filter(may)) {
            Candidates::None => Err(Impossible),
            Candidates::One(op) => Ok(Some(*op)),
            Candidates::Several => Ok(None),
        }
    }
}

/// The error for a value that was read and that nobody can have written.
pub struct Impossible;
