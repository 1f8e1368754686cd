//! Decides about versioned puts and gets without a search, because versions tell the order of everything that was done.
//!
//! # Why this decides
//!
//! Only a put that names version `v` creates version `v + 1`, and only one put does so. If one such put was answered `Ok`, it
//! is that one, and the others whose answer was `Maybe` were not done. If none was answered `Ok`, it is one of those whose
//! answer was `Maybe`. Of these, consider the ones with the value that was read, and choose the one that was called first:
//! wherever another one could be, it can be as well, and the others may remain undone. So all that is left to choose is when
//! each version was created.
//!
//! Let `made[v]` be the moment at which version `v + 1` is created. The answers say this about these moments:
//!
//! - `made[v - 1] <= made[v]`, and each moment is within the span of its put, or never if there is no such put.
//! - A get of version `v` is between `made[v - 1]` and `made[v]`. So the first of these is before its return, and the second
//!   after its call. In the same way, a get that found no key, and a put whose answer was `NoKey`, are before `made[0]`.
//! - A put of `v` whose answer was `Version` is after `made[0]`, and *either* after `made[v]` *or*, if `v` is more than 1,
//!   before `made[v - 1]`.
//!
//! Each of these puts a moment below a bound or above a bound, except the last: it puts a moment above a bound if another
//! moment is above one. So if two choices of moments satisfy all conditions, then taking the earlier one for each moment
//! satisfies them as well, and there is an earliest choice: start with the lower bounds, and raise what must be raised. If a
//! moment passes an upper bound in this way, there is no choice at all.

use super::Span;
use super::model::{Decision, Why};
use super::span::Spans;
use super::versioned::{Answer, VersionedOp};

/// Whether the operations of a key are linearizable; `None` if their spans don't express the whole order in time.
pub fn decide(ops: &[&VersionedOp], spans: &Spans) -> Option<Decision> {
    if spans.links().len() > 0 {
        return None;
    }
    let exist = |makers: Vec<_>| Moments::of(ops, spans, &makers).exist();
    let legal = makers(ops, spans).is_some_and(exist);
    Some(if legal { Decision::Legal } else { Decision::Illegal(Why::Unknown) })
}

/// The position that stands for "never".
const NEVER: u32 = u32::MAX;

/// For each version that may have existed, starting at 0: the span of the put that created the next version.
///
/// `None` if two puts did so, if a version was read that no put can have created, or if two different values were read for a
/// version.
fn makers(ops: &[&VersionedOp], spans: &[Span]) -> Option<Vec<Option<Span>>> {
    let puts = ops.iter().filter(|op| matches!(op, VersionedOp::Put { .. })).count();
    // The value that was read of the version that follows each version. No put creates a version after the last one that may
    // have existed.
    let mut read: Vec<Option<&str>> = vec![None; puts];
    for op in ops {
        if let VersionedOp::Get { output: Some((value, version)), .. } = op {
            let made_of = usize::try_from(version.checked_sub(1)?).ok()?;
            let known = read.get_mut(made_of)?.get_or_insert(value);
            if *known != value {
                return None;
            }
        }
    }
    let mut makers: Vec<Option<Span>> = vec![None; puts + 1];
    let mut certain = vec![false; puts + 1];
    for (op, span) in ops.iter().zip(spans) {
        let VersionedOp::Put { value, version, answer: Answer::Ok | Answer::Maybe, .. } = op else {
            continue;
        };
        let version = usize::try_from(*version).ok().filter(|version| *version < puts);
        let fits = version.is_some_and(|version| read[version].is_none_or(|read| read == value));
        match (span.ret, version) {
            (Some(_), Some(version)) => {
                if !fits || std::mem::replace(&mut certain[version], true) {
                    return None;
                }
                makers[version] = Some(*span);
            }
            (Some(_), None) => return None,
            (None, Some(version)) if fits && !certain[version] => {
                let first = makers[version].filter(|known| known.call <= span.call);
                makers[version] = first.or(Some(*span));
            }
            (None, _) => {}
        }
    }
    Some(makers)
}

/// The earliest and the latest moment for the creation of each version.
struct Moments {
    earliest: Vec<u32>,
    latest: Vec<u32>,
    /// For each version, the spans of the puts of it whose answer was `Version`, sorted by end, the last first.
    told_of_another: Vec<Vec<Span>>,
}

impl Moments {
    fn of(ops: &[&VersionedOp], spans: &[Span], makers: &[Option<Span>]) -> Moments {
        let mut moments = Moments {
            earliest: makers.iter().map(|put| put.map_or(NEVER, |put| put.call)).collect(),
            latest: makers.iter().map(|put| put.map_or(NEVER, |put| put.end())).collect(),
            told_of_another: vec![Vec::new(); makers.len()],
        };
        for (op, span) in ops.iter().zip(spans) {
            moments.heed(op, *span);
        }
        for told in &mut moments.told_of_another {
            told.sort_unstable_by_key(|span| std::cmp::Reverse(span.end()));
        }
        moments
    }

    fn heed(&mut self, op: &VersionedOp, span: Span) {
        match *op {
            VersionedOp::Get { output: None, .. } => self.not_before(0, span.call),
            VersionedOp::Get { output: Some((_, version)), .. } => {
                self.not_after(version as usize - 1, span.end());
                self.not_before(version as usize, span.call);
            }
            VersionedOp::Put { version, answer: Answer::NoKey, .. } => {
                // With version 0 it would have created the key.
                self.not_before(0, if version == 0 { NEVER } else { span.call });
                if version == 0 {
                    self.not_after(0, 0);
                }
            }
            VersionedOp::Put { version, answer: Answer::Version, .. } => {
                self.not_after(0, span.end());
                match usize::try_from(version) {
                    Ok(0) => {}
                    // Before version 1 is created there is no other version, because the key doesn't exist.
                    Ok(1) => self.not_after(1, span.end()),
                    Ok(version) if version < self.earliest.len() => {
                        self.told_of_another[version].push(span);
                    }
                    _ => {}
                }
            }
            VersionedOp::Put { answer: Answer::Ok | Answer::Maybe, .. } => {}
        }
    }

    fn not_before(&mut self, version: usize, place: u32) {
        self.earliest[version] = self.earliest[version].max(place);
    }

    fn not_after(&mut self, version: usize, place: u32) {
        self.latest[version] = self.latest[version].min(place);
    }

    /// Whether there are such moments, found by computing the earliest ones.
    fn exist(mut self) -> bool {
        let mut version = 1;
        while version < self.earliest.len() {
            self.not_before(version, self.earliest[version - 1]);
            let before = self.earliest[version - 1];
            let made = self.earliest[version];
            while let Some(told) = self.told_of_another[version].pop_if(|told| told.end() < made) {
                self.not_before(version - 1, told.call);
            }
            // A raised moment raises later moments, and may raise earlier ones.
            let raised = self.earliest[version - 1] > before;
            version = if raised { (version - 1).max(1) } else { version + 1 };
        }
        self.earliest.iter().zip(&self.latest).all(|(earliest, latest)| earliest <= latest)
    }
}
