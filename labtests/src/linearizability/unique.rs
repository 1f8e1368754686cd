//! Decides about a register without a search, in `O(n log n)`, if the reads tell which write they saw.
//!
//! A write together with all reads that saw it is a *block*. No other write comes inside a block, so in any order that explains
//! the answers, the blocks follow one another. Conversely, in any order of whole blocks, every read sees what it answered.
//! Writes of unknown outcome that nobody saw can be treated as if they never happened. So two questions remain: did a read
//! return before its write was called? And can the [blocks be ordered](super::zones)?
//!
//! A value may be written more than once, as long as time leaves only one write for each read. If several are left, this
//! function only detects what is impossible in any case: to find out which write is meant is NP-hard in general (Gibbons and
//! Korach, 1997).

use super::model::{Decision, Why};
use super::span::Spans;
use super::zones::{self, Block, Standing};
use std::ops::Range;

/// What an operation does to a register. Values are represented by numbers, and 0 is the initial value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads this value.
    Read(u32),
    /// Writes this value.
    Write(u32),
}

/// If a read can have seen none of the writes of its value, at most this many of them are shown.
const FEW: usize = 8;

/// Whether the operations are linearizable; `None` if what was read doesn't tell which write it was.
pub fn decide(acts: &[Act], spans: &Spans) -> Option<Decision> {
    match Writers::of(acts, spans).assign(acts, spans) {
        Ok(assigned) => assigned.map(|assigned| assigned.decide(acts, spans)),
        Err(why) => Some(Decision::Illegal(why)),
    }
}

/// All writes, sorted by value.
struct Writers {
    /// The writes sorted by value and then by call, and where the writes of each value begin.
    writes: Vec<u32>,
    starts: Vec<u32>,
    /// Their calls and their ends.
    calls: Vec<u32>,
    ends: Highest,
    /// The writes that certainly happened, sorted by return. Each has the latest call among the writes up to it.
    certain: Vec<(u32, u32)>,
}

/// The write that each read saw. `None` stands for the initial value.
struct Assigned {
    writers: Vec<(u32, Option<u32>)>,
}

/// The writes that a read may have seen.
enum Candidates {
    None,
    One(Option<u32>),
    Several,
}

impl Writers {
    fn of(acts: &[Act], spans: &Spans) -> Writers {
        let write = |(op, act): (usize, &Act)| match act {
            Act::Write(value) => Some((*value, spans[op].call, op as u32)),
            Act::Read(_) => None,
        };
        let mut writes: Vec<_> = acts.iter().enumerate().filter_map(write).collect();
        writes.sort_unstable();
        let values = acts.iter().map(|(Act::Read(value) | Act::Write(value))| *value + 1);
        let values = values.max().unwrap_or(0);
        let start = |value| writes.partition_point(|(other, ..)| *other < value) as u32;
        let starts = (0..=values).map(start).collect();
        let ended = |(.., op): &(u32, u32, u32)| {
            let span = spans[*op as usize];
            span.ret.map(|ret| (ret, span.call))
        };
        let mut certain: Vec<_> = writes.iter().filter_map(ended).collect();
        certain.sort_unstable();
        let mut last = 0;
        for (_, call) in &mut certain {
            last = last.max(*call);
            *call = last;
        }
        let ends = writes.iter().map(|(.., op)| spans[*op as usize].end());
        let ends = Highest::new(ends.collect());
        let (calls, writes) = writes.into_iter().map(|(_, call, op)| (call, op)).unzip();
        Writers { writes, starts, calls, ends, certain }
    }

    fn with(&self, value: u32) -> &[u32] {
        &self.writes[self.range(value)]
    }

    fn range(&self, value: u32) -> Range<usize> {
        self.starts[value as usize] as usize..self.starts[value as usize + 1] as usize
    }

    /// Up to two writes of a value that were called before one position and ended after another.
    fn two(&self, value: u32, called: u32, ended: u32) -> [Option<u32>; 2] {
        let Range { start, end } = self.range(value);
        let end = start + self.calls[start..end].partition_point(|call| *call < called);
        let first = self.ends.last_in(start..end, ended);
        let second = first.and_then(|first| self.ends.last_in(start..first, ended));
        [first, second].map(|place| place.map(|place| self.writes[place]))
    }

    /// Finds the write of each read. `Ok(None)`: for some reads it is not certain.
    ///
    /// # Errors
    /// A read for which there is no possible write.
    fn assign(&self, acts: &[Act], spans: &Spans) -> Result<Option<Assigned>, Why> {
        let reads = acts.iter().enumerate().filter_map(|(op, act)| match act {
            Act::Read(value) => Some((op, *value)),
            Act::Write(_) => None,
        });
        let begun = self.begun(acts, spans);
        let (mut writers, mut certain) = (Vec::new(), true);
        for (read, value) in reads {
            match self.candidates(read, value, spans, begun) {
                Candidates::One(write) => writers.push((read as u32, write)),
                Candidates::Several => certain = false,
                Candidates::None => return Err(self.why(read, value, spans)),
            }
        }
        Ok(certain.then_some(Assigned { writers }))
    }

    /// The reason why a read can't have seen any write of its value: each of them was too late, or another write came in
    /// between.
    fn why(&self, read: usize, value: u32, spans: &Spans) -> Why {
        let with = self.with(value);
        if with.len() > FEW {
            return Why::By(read);
        }
        let done = self.certain.partition_point(|(ret, _)| *ret < spans[read].call);
        let replaced = done.checked_sub(1).map(|last| self.certain[last].1);
        let between = |op: &&u32| Some(spans[**op as usize].call) == replaced;
        let between = self.writes.iter().find(between).filter(|_| value == 0 || !with.is_empty());
        let all = with.iter().chain(between).map(|op| *op as usize);
        Why::These(std::iter::once(read).chain(all).collect())
    }

    /// The earliest return of an operation that comes after the initial value: of a write, or of a read that saw a write.
    fn begun(&self, acts: &[Act], spans: &Spans) -> u32 {
        let over = |(op, act): (usize, &Act)| match act {
            Act::Write(_) => spans[op].ret,
            Act::Read(0) => None,
            Act::Read(_) => spans[op].ret,
        };
        acts.iter().enumerate().filter_map(over).min().unwrap_or(u32::MAX)
    }

    fn candidates(&self, read: usize, value: u32, spans: &Spans, begun: u32) -> Candidates {
        let span = spans[read];
        // Writes that ended before the call `replaced` had been replaced by another write when the read was called.
        let done = self.certain.partition_point(|(ret, _)| *ret < span.call);
        let replaced = done.checked_sub(1).map(|last| self.certain[last].1);
        let [first, second] = self.two(value, span.end(), replaced.unwrap_or(0));
        if value != 0 {
            return match (first, second) {
                (None, _) => Candidates::None,
                (Some(write), None) => Candidates::One(Some(write)),
                _ => Candidates::Several,
            };
        }
        let beginning = replaced.is_none() && span.call <= begun;
        match (first, second, beginning) {
            (None, _, true) => Candidates::One(None),
            (None, _, false) if replaced.is_none() => Candidates::One(None),
            (None, _, false) => Candidates::None,
            // The read may belong to the block of the initial value, because it was called before the return of anything that
            // comes later.
            (Some(_), None, true) if spans.links().len() == 0 => Candidates::One(None),
            (Some(write), None, false) => Candidates::One(Some(write)),
            _ => Candidates::Several,
        }
    }
}

/// Numbers in a tree in which each node has the maximum of the nodes below it. This finds the last number that is large enough.
struct Highest {
    leaves: usize,
    tree: Vec<u32>,
}

impl Highest {
    fn new(numbers: Vec<u32>) -> Highest {
        let leaves = numbers.len().next_power_of_two();
        let mut tree = vec![0; leaves];
        tree.extend(numbers);
        tree.resize(2 * leaves, 0);
        for node in (1..leaves).rev() {
            tree[node] = tree[2 * node].max(tree[2 * node + 1]);
        }
        Highest { leaves, tree }
    }

    /// The last index in this range whose number is at least `least`.
    fn last_in(&self, range: Range<usize>, least: u32) -> Option<usize> {
        let of = |node| Some(self.down(node, least)).filter(|place| *place >= range.start);
        if range.end == self.leaves {
            return if self.tree[1] >= least { of(1) } else { None };
        }
        // The subtrees that end before the end of the range, from there to the left, each as large as possible.
        let mut end = self.leaves + range.end;
        while end > 1 {
            if end % 2 == 1 {
                let before = end - 1;
                if self.tree[before] >= least {
                    return of(before);
                }
            }
            end /= 2;
        }
        None
    }

    fn down(&self, mut node: usize, least: u32) -> usize {
        while node < self.leaves {
            node = 2 * node + usize::from(self.tree[2 * node + 1] >= least);
        }
        node - self.leaves
    }
}

impl Assigned {
    fn decide(&self, acts: &[Act], spans: &Spans) -> Decision {
        let mut standing: Vec<Standing> = vec![None; acts.len()];
        let mut blocks = vec![Block::beginning()];
        let mut block_of = vec![0; acts.len()];
        let mut block = |write: usize, standing: &mut Vec<Standing>, blocks: &mut Vec<Block>| {
            if block_of[write] == 0 {
                block_of[write] = blocks.len() as u32;
                blocks.push(Block::of(write, spans[write]));
                standing[write] = Some((block_of[write], 0));
            }
            block_of[write]
        };
        for (read, write) in &self.writers {
            let read = *read as usize;
            let number = match write {
                Some(write) => block(*write as usize, &mut standing, &mut blocks),
                None => 0,
            };
            if write.is_some_and(|write| spans[read].end() < spans[write as usize].call) {
                let write = write.unwrap_or_default() as usize;
                return Decision::Illegal(Why::These(vec![read, write]));
            }
            standing[read] = Some((number, 1));
            blocks[number as usize].add(read, spans[read]);
        }
        for (op, act) in acts.iter().enumerate() {
            if matches!(act, Act::Write(_)) && spans[op].ret.is_some() {
                block(op, &mut standing, &mut blocks);
            }
        }
        match zones::order(&blocks, &standing, spans) {
            Ok(()) => Decision::Legal,
            Err(operations) => Decision::Illegal(Why::These(operations)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_is_high_enough_is_found() {
        for count in [0, 1, 2, 5, 8, 13] {
            let numbers: Vec<u32> = (0..count).map(|place| place * 7 % 5).collect();
            let highest = Highest::new(numbers.clone());
            for (start, end) in
                (0..=count as usize).flat_map(|end| (0..=end).map(move |start| (start, end)))
            {
                for least in 0..6 {
                    let last = (start..end).rev().find(|place| numbers[*place] >= least);
                    assert_eq!(highest.last_in(start..end, least), last, "{start}..{end} {least}");
                }
            }
        }
    }
}
