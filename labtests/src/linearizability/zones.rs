//! Whether blocks of operations can follow one another, each as a whole (Gibbons and Korach, "Testing Shared Memories", 1997, whose
//! zones these are).
//!
//! Block X must be before Y if something of X returned before something of Y was called: if `X.first_ret < Y.last_call`.
//! Where this has a cycle, a shortest one is of two blocks: in a longer one, X before Y before Z, but X not before Z, for the
//! cycle would be shorter. So `Y.first_ret < Z.last_call <= X.first_ret`: Y's first return is before X's; and so on around the
//! cycle, until it is before itself. So look at pairs. All else is sorting.
//!
//! Links say besides that an operation of X comes before one of Y, which was called at the moment at which the other returned. If
//! `X.first_ret < Y.last_call` that is nothing new. Otherwise X's first return and Y's last call are at that moment. A shortest cycle
//! with such links is of two blocks, too, or all its blocks have their first return and their last call at one moment, and it is of
//! links alone, by the same argument.

use super::Span;
use super::span::Spans;
use std::collections::BTreeMap;

/// What can be said of a block from outside, and of whom it is true.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    first_ret: u32,
    last_call: u32,
    /// Who returned first, and who was called last.
    pub first: usize,
    /// See `first`.
    pub last: usize,
    /// The write that made it.
    pub write: Option<usize>,
}

impl Block {
    /// The block of a write.
    pub fn of(write: usize, span: Span) -> Block {
        let (first_ret, last_call) = (span.end(), span.call);
        Block { first_ret, last_call, first: write, last: write, write: Some(write) }
    }

    /// The one that is there from the beginning: nobody comes before it.
    pub fn beginning() -> Block {
        Block { first_ret: 0, last_call: 0, first: usize::MAX, last: usize::MAX, write: None }
    }

    /// Takes in another operation.
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

/// Where each operation stands: in which block, and how far behind there. `None`: nowhere, it may never have happened.
pub type Standing = Option<(u32, u32)>;

/// Whether the blocks can be ordered, and the links kept.
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

/// Looks for two blocks that must be before each other.
fn pairs(blocks: &[Block]) -> Result<(), (&Block, &Block)> {
    // A block that lasts does so from its first return to its last call, whatever the order; two such can't overlap.
    let (mut lasting, brief): (Vec<&Block>, Vec<&Block>) =
        blocks.iter().partition(|block| block.lasts());
    lasting.sort_unstable_by_key(|block| block.first_ret);
    if let Some(pair) = lasting.windows(2).find(|pair| pair[1].is_before(pair[0])) {
        return Err((pair[0], pair[1]));
    }
    // All of a brief one may happen at one moment. It must not lie wholly within a lasting one.
    for brief in brief {
        let before = lasting.partition_point(|block| block.is_before(brief));
        let last = before.checked_sub(1).map(|last| lasting[last]);
        if let Some(lasting) = last.filter(|lasting| brief.is_before(lasting)) {
            return Err((brief, lasting));
        }
    }
    Ok(())
}

/// Looks for a cycle among links.
fn links_alone(
    blocks: &[Block],
    more: &BTreeMap<u32, Vec<(u32, [usize; 2])>>,
) -> Result<(), Vec<usize>> {
    // 1: on the way down, 2: without a cycle behind it.
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
