//! Who wrote what was read.
//!
//! If no value that is written begins with another one, and none is empty, a text can be taken apart into values in
//! one way only. Of the writes with such a value, time mostly leaves one: the lab's clients count what they write,
//! and write the same again only in the next round.

use super::Span;
use super::text::{Line, TextOp};
use std::collections::BTreeMap;
use std::ops::Range;

/// What some gets saw: texts that are the beginning of one another, between a put and the next.
#[derive(Default)]
pub struct Reading {
    /// The put. `None`: they saw what was there before any.
    pub put: Option<usize>,
    /// What the longest of the texts was made of, from the put on.
    pub pieces: Vec<Piece>,
    /// The gets, after how much of it they saw, the least first.
    pub gets: Vec<(usize, usize)>,
}

/// What one write has added to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How long the text was then.
    pub len: usize,
    /// The write; `None` if it may have been one of several.
    pub author: Option<usize>,
}

/// All values that are written to a key, in order, with their writes.
pub struct Values<'a> {
    values: Vec<Value<'a>>,
    /// The puts that certainly happened, by their returns, each with the last call of them up to it.
    puts: Vec<(u32, u32)>,
    spans: &'a [Span],
}

struct Value<'a> {
    bytes: &'a [u8],
    puts: Vec<usize>,
    appends: Vec<usize>,
}

/// How many there are that it may have been.
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
    /// `None` if some value begins with another, or is empty.
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
                // What begins with a value stands right after it.
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

    /// Takes apart what the gets of a line saw; with `None` for each of which it isn't certain after which put it came.
    ///
    /// # Errors
    /// Some of it nobody can have written.
    pub fn readings(&self, line: &Line) -> Result<Vec<Option<Reading>>, Impossible> {
        let values = self.take_apart(line.text.as_bytes()).ok_or(Impossible)?;
        let mut readings = BTreeMap::<Option<Option<usize>>, Vec<(usize, usize)>>::new();
        for (len, get) in &line.gets {
            let put = match values.first().filter(|_| *len > 0) {
                // An empty text has been only at the beginning.
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

    /// The values that make a text, each with how long it is with them.
    fn take_apart(&self, text: &[u8]) -> Option<Vec<(usize, &Value<'a>)>> {
        let (mut values, mut len) = (Vec::new(), 0);
        while let Some(rest) = text.get(len..).filter(|rest| !rest.is_empty()) {
            // The last value that doesn't stand behind it.
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

    /// The put after which a get came that saw this value first; within, `None` if it may have been before any.
    fn put(&self, first: &Value<'_>, get: Span) -> Candidates<Option<usize>> {
        // What ended before this was replaced by another put when the get was called.
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

    /// When a text came to have each of these lengths, as far as gets tell: not before a call that saw less, and not
    /// after a return that saw it.
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

    /// The append with this value that may have been at that time; `None` if there are several.
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

/// Something was read that nobody can have written.
pub struct Impossible;
