//! Decides whether blocks of operations can follow one another, each as a whole. The zones are those of Gibbons and Korach
//! ("Testing Shared Memories", 1997).
//!
//! Block X must be before block Y if an operation of X returned before an operation of Y was called: if
//! `X.first_ret < Y.last_call`. If this relation has a cycle, a shortest cycle has two blocks. In a longer one, X is before Y
//! and Y before Z, but X is not before Z, because otherwise the cycle could be shortened. So
//! `Y.first_ret < Z.last_call <= X.first_ret`: Y's first return is before X's. The same holds all around the cycle, so a first
//! return would be before itself. Hence it is enough to look at pairs. Everything else is sorting.
//!
//! In addition, a link says that an operation of X comes before an operation of Y that was called at the moment when the first
//! one returned. If `X.first_ret < Y.last_call`, the link adds nothing. Otherwise X's first return and Y's last call are at
//! that moment. By the same argument, there are two cases for a shortest cycle with such links. Either it has two blocks, or
//! all its blocks have their first return and their last call at the same moment, and it consists only of links.

use super::Span;
use super::span::Spans;
use std::collections::BTreeMap;

/// What matters about a block for the others, and the operations that are the reason.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    first_ret: u32,
    last_call: u32,
    /// The operation that returned first, and the one that was called last.
    pub first: usize,
    /// See `first`.
    pub last: usize,
    /// The write of the block.
    pub write: Option<usize>,
}

impl Block {
    /// The block that starts with a write.
    pub fn of(write: usize, span: Span) -> Block {
        let (first_ret, last_call) = (span.end(), span.call);
        Block { first_ret, last_call, first: write, last: write, write: Some(write) }
    }

    /// The block of the initial value. Nothing comes before it.
    pub fn beginning() -> Block {
        Block { first_ret: 0, last_call: 0, first: usize::MAX, last: usize::MAX, write: None }
    }

    /// Adds another operation.
    pub fn add(&mut self, op: usize, span: Span) {
        if span.end() < self.first_ret {
            (self.first_ret, self.first) = (span.end(), op);
        }
        if span.call > self.last_call {
            (self.last_call, self.last) = (span.call, op);
        }
    }

    fn lasts(&self) -> bool {
        self.first_ret < self.last_call
    }

    fn is_before(&self, other: &Block) -> bool {
        self.first_ret < other.last_call
    }

    fn witnesses(&self) -> impl Iterator<Item = usize> {
        let all = self.write.into_iter().chain([self.first, self.last]);
        all.filter(|op| *op != usize::MAX)
    }
}

/// The place of each operation: its block, and its position there. `None`: it has no place, because it may never have happened.
pub type Standing = Option<(u32, u32)>;

/// Whether the blocks can be ordered in a way that respects the links.
///
/// # Errors
/// The operations that show that they can't, whatever all others did.
pub fn order(blocks: &[Block], standing: &[Standing], spans: &Spans) -> Result<(), Vec<usize>> {
    pairs(blocks).map_err(|(one, other)| witnesses([one, other]))?;
    let mut more = BTreeMap::<u32, Vec<(u32, [usize; 2])>>::new();
    for (first, then) in spans.links() {
        let (Some((x, rank)), Some((y, later))) = (standing[first], standing[then]) else {
            continue;
        };
        let (one, other) = (&blocks[x as usize], &blocks[y as usize]);
        if x == y {
            if rank > later {
                let mut all = vec![first, then];
                all.extend(one.write);
                return Err(tidy(all));
            }
        } else if other.is_before(one) {
            let mut all = witnesses([one, other]);
            all.extend([first, then]);
            return Err(tidy(all));
        } else if !one.is_before(other) {
            more.entry(x).or_default().push((y, [first, then]));
        }
    }
    links_alone(blocks, &more)
}

fn witnesses<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> Vec<usize> {
    tidy(blocks.into_iter().flat_map(Block::witnesses).collect())
}

fn tidy(mut ops: Vec<usize>) -> Vec<usize> {
    ops.sort_unstable();
    ops.dedup();
    ops
}

/// Looks for two blocks that must each be before the other.
fn pairs(blocks: &[Block]) -> Result<(), (&Block, &Block)> {
    // A block that lasts fills the time from its first return to its last call, in any order. Two such blocks must not overlap.
    let (mut lasting, brief): (Vec<&Block>, Vec<&Block>) =
        blocks.iter().partition(|block| block.lasts());
    lasting.sort_unstable_by_key(|block| block.first_ret);
    if let Some(pair) = lasting.windows(2).find(|pair| pair[1].is_before(pair[0])) {
        return Err((pair[0], pair[1]));
    }
    // All of a brief block may happen at one moment. It must not lie entirely within a lasting block.
    for brief in brief {
        let before = lasting.partition_point(|block| block.is_before(brief));
        let last = before.checked_sub(1).map(|last| lasting[last]);
        if let Some(lasting) = last.filter(|lasting| brief.is_before(lasting)) {
            return Err((brief, lasting));
        }
    }
    Ok(())
}

/// Looks for a cycle among the links alone.
fn links_alone(
    blocks: &[Block],
    more: &BTreeMap<u32, Vec<(u32, [usize; 2])>>,
) -> Result<(), Vec<usize>> {
    // 1: visited on the way down, 2: known to have no cycle behind it.
    let mut seen = BTreeMap::<u32, u8>::new();
    for &start in more.keys() {
        let mut way = vec![(start, 0)];
        while let Some((block, next)) = way.last_mut() {
            let edge = more.get(block).and_then(|edges| edges.get(*next));
            seen.insert(*block, if edge.is_some() { 1 } else { 2 });
            *next += 1;
            let Some((to, _)) = edge else {
                way.pop();
                continue;
            };
            match seen.get(to) {
                None => way.push((*to, 0)),
                Some(2) => {}
                Some(_) => {
                    let cycle = way.iter().skip_while(|(block, _)| block != to);
                    let mut all = Vec::new();
                    for (block, next) in cycle {
                        all.extend(more[block][next - 1].1);
                        all.extend(blocks[*block as usize].write);
                    }
                    return Err(tidy(all));
                }
            }
        }
    }
    Ok(())
}
