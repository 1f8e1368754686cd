//! When an operation may have taken effect.

use super::Operation;
use labrpc::time::Instant;
use std::collections::BTreeMap;
use std::ops::Deref;

/// The time that an operation may have taken effect in, by places in the order of all calls and returns of its key.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Not before this.
    pub call: u32,
    /// Not after this. `None`: at any time, or never.
    pub ret: Option<u32>,
}

impl Span {
    /// At any time, or never.
    pub const ANY: Span = Span { call: 0, ret: None };

    /// The last place at which it may have taken effect.
    pub fn end(&self) -> u32 {
        self.ret.unwrap_or(u32::MAX)
    }
}

/// The spans of some operations, and what places can't say of their order.
///
/// At one moment all calls come before all returns, so that clients who only meet there count as concurrent. But one client's
/// call comes after its own return. While only one client does so at a moment, its calls and returns go between the
/// calls and the returns of the others. When two do, no order of places says what is meant: each return comes before one call
/// and not before the other. Then [`Spans::links`] say it.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    spans: Vec<Span>,
    /// An operation, and one that comes before it. In order.
    links: Vec<(u32, u32)>,
}

impl Deref for Spans {
    type Target = [Span];

    fn deref(&self) -> &[Span] {
        &self.spans
    }
}

impl Spans {
    /// Spans of which the places say all.
    pub fn new(spans: Vec<Span>) -> Spans {
        Spans { spans, links: Vec::new() }
    }

    /// Pairs of operations of one client: the first returned at the moment at which the second was called.
    pub fn links(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.links.iter().map(|(then, first)| (*first as usize, *then as usize))
    }

    /// What comes before this one by a link.
    pub fn before(&self, op: usize) -> impl Iterator<Item = usize> {
        let start = self.links.partition_point(|(then, _)| (*then as usize) < op);
        let of_it = self.links[start..].iter().take_while(move |(then, _)| *then as usize == op);
        of_it.map(|(_, first)| *first as usize)
    }

    /// Of these operations only, each with another span. A link remains where both of its ends do, and `keeps` says so of them.
    pub fn part(
        &self,
        left: &[usize],
        span: impl Fn(usize) -> Span,
        keeps: impl Fn(usize) -> bool,
    ) -> Spans {
        let place = |op: u32| left.binary_search(&(op as usize)).ok().map(|place| place as u32);
        let link = |(then, first): &(u32, u32)| {
            let kept = keeps(*then as usize) && keeps(*first as usize);
            kept.then(|| Some((place(*then)?, place(*first)?))).flatten()
        };
        Spans {
            spans: left.iter().map(|op| span(*op)).collect(),
            links: self.links.iter().filter_map(link).collect(),
        }
    }
}

/// Of the operations of one key.
pub fn spans<Op>(operations: &[&Operation<Op>], is_open: impl Fn(&Op) -> bool) -> Spans {
    let end = |op: usize| operations[op].ret.filter(|_| !is_open(&operations[op].op));
    let mut by_client: Vec<usize> = (0..operations.len()).collect();
    by_client.sort_by_cached_key(|op| {
        let operation = operations[*op];
        (operation.client, operation.call, operation.ret.is_none(), operation.ret)
    });
    let meetings = meetings(operations, &by_client, end);
    let events = events(operations, &meetings, end);
    let mut spans = vec![Span::ANY; operations.len()];
    let (mut place, mut before) = (0, None);
    for (order, op, is_ret) in events {
        // What nobody can tell apart has one place.
        place += u32::from(before != Some(order));
        before = Some(order);
        match is_ret {
            true => spans[op as usize].ret = Some(place),
            false => spans[op as usize].call = place,
        }
    }
    let is_crowded = |(_, then): &(u32, u32)| {
        let at = operations[*then as usize].call;
        matches!(meetings.crowds.get(&at), Some(Crowd::Several))
    };
    let links = meetings.links.iter().filter(|link| is_crowded(link));
    let mut links: Vec<_> = links.map(|(first, then)| (*then, *first)).collect();
    links.sort_unstable();
    Spans { spans, links }
}

/// How many clients go on at the moment of their return.
enum Crowd {
    One(u64),
    Several,
}

/// Which operations of one client meet at a moment: first and second.
struct Meetings {
    links: Vec<(u32, u32)>,
    crowds: BTreeMap<Instant, Crowd>,
}

fn meetings<Op>(
    operations: &[&Operation<Op>],
    by_client: &[usize],
    end: impl Fn(usize) -> Option<Instant>,
) -> Meetings {
    let mut meetings = Meetings { links: Vec::new(), crowds: BTreeMap::new() };
    for of_one in by_client.chunk_by(|a, b| operations[*a].client == operations[*b].client) {
        // What ended at the moment, and then what took no time there. The order of these is nobody's knowledge.
        let mut moment: Option<(Instant, Option<usize>)> = None;
        let mut instant: Vec<usize> = Vec::new();
        for &op in of_one {
            let call = operations[op].call;
            if moment.is_none_or(|(at, _)| at != call) {
                moment = Some((call, None));
                instant.clear();
            }
            let ended = moment.and_then(|(_, ended)| ended);
            let took_none = operations[op].ret == Some(call);
            if took_none || instant.is_empty() {
                ended.into_iter().for_each(|first| meetings.add(first, op, operations[op]));
            } else {
                instant.iter().for_each(|first| meetings.add(*first, op, operations[op]));
            }
            match end(op) {
                Some(_) if took_none => instant.push(op),
                Some(at) => {
                    moment = Some((at, Some(op)));
                    instant.clear();
                }
                None => {}
            }
        }
    }
    meetings
}

impl Meetings {
    fn add<Op>(&mut self, first: usize, then: usize, operation: &Operation<Op>) {
        self.links.push((first as u32, then as u32));
        let crowd = self.crowds.entry(operation.call).or_insert(Crowd::One(operation.client));
        if matches!(crowd, Crowd::One(other) if *other != operation.client) {
            *crowd = Crowd::Several;
        }
    }
}

type Order = (Instant, u8);

/// All calls and returns in the order of time.
fn events<Op>(
    operations: &[&Operation<Op>],
    meetings: &Meetings,
    end: impl Fn(usize) -> Option<Instant>,
) -> Vec<(Order, u32, bool)> {
    let mut events = Vec::with_capacity(2 * operations.len());
    for (op, operation) in operations.iter().enumerate() {
        let goes_on = |at: Instant| {
            let one = meetings.crowds.get(&at);
            matches!(one, Some(Crowd::One(client)) if *client == operation.client)
        };
        let ret = end(op);
        let took_none = operation.ret == Some(operation.call);
        // The one who goes on: what ended, what took no time, what goes on from here.
        let call = match (goes_on(operation.call), took_none) {
            (false, _) => 0,
            (true, true) => 2,
            (true, false) => 4,
        };
        events.push(((operation.call, call), op as u32, false));
        if let Some(at) = ret {
            let ret = match (goes_on(at), took_none) {
                (false, _) => 5,
                (true, true) => 3,
                (true, false) => 1,
            };
            events.push(((at, ret), op as u32, true));
        }
    }
    events.sort_unstable();
    events
}
