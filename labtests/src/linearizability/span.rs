//! When operations may have taken effect.

use super::Operation;
use labrpc::time::Instant;
use rustc_hash::FxHashMap;
use std::ops::Deref;

/// The time in which an operation may have taken effect. Times are positions in the order of all calls and returns of its key.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Not before this position.
    pub call: u32,
    /// Not after this position. `None`: at any time after the call, or never.
    pub ret: Option<u32>,
}

impl Span {
    /// At any time, or never.
    pub const ANY: Span = Span { call: 0, ret: None };

    /// The last position at which it may have taken effect.
    pub fn end(&self) -> u32 {
        self.ret.unwrap_or(u32::MAX)
    }
}

/// The spans of some operations, and the part of their order that positions can't express.
///
/// If a call and a return of two clients are at the same moment, the call comes before the return, so that these clients count
/// as concurrent. But the call of a client comes after its own return. If only one client calls again at the moment of its own
/// return, its calls and returns are put between the calls and the returns of the others. If two clients do so at the same
/// moment, no order of positions is right: each return comes before one call, and not before the other. In that case
/// [`Spans::links`] express the order.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    spans: Vec<Span>,
    /// Pairs of an operation and one that comes before it, sorted.
    links: Vec<(u32, u32)>,
    /// Where the pairs of each operation begin; empty if there are no pairs at all.
    starts: Vec<u32>,
}

impl Deref for Spans {
    type Target = [Span];

    fn deref(&self) -> &[Span] {
        &self.spans
    }
}

impl Spans {
    /// Spans whose positions express the whole order.
    pub fn new(spans: Vec<Span>) -> Spans {
        Spans::linked(spans, Vec::new())
    }

    fn linked(spans: Vec<Span>, mut links: Vec<(u32, u32)>) -> Spans {
        links.sort_unstable();
        let mut starts = Vec::new();
        if !links.is_empty() {
            let mut before = 0;
            starts.extend((0..=spans.len()).map(|op| {
                let of_it = |(then, _): &&(u32, u32)| (*then as usize) < op;
                before += links[before..].iter().take_while(of_it).count();
                before as u32
            }));
        }
        Spans { spans, links, starts }
    }

    /// Pairs of operations of one client: the first returned at the moment when the second was called.
    pub fn links(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.links.iter().map(|(then, first)| (*first as usize, *then as usize))
    }

    /// The operations that come before this one by a link.
    pub fn before(&self, op: usize) -> impl Iterator<Item = usize> {
        let range = match self.starts.get(op..op + 2) {
            Some(range) => range[0] as usize..range[1] as usize,
            None => 0..0,
        };
        self.links[range].iter().map(|(_, first)| *first as usize)
    }

    /// The spans of only these operations, changed by `span`. A link remains if both of its ends do and `keeps` returns true
    /// for them.
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
        let spans = left.iter().map(|op| span(*op)).collect();
        Spans::linked(spans, self.links.iter().filter_map(link).collect())
    }
}

/// When one client did something. This is a copy, because the operations themselves are scattered in memory, and these times
/// are read several times.
struct Times {
    client: u64,
    call: Instant,
    /// When it had certainly taken effect. `None`: at any time, or never.
    end: Option<Instant>,
    took_none: bool,
}

/// The spans of the operations of one key. The operations are sorted by call, and those with the same call by return.
pub fn spans<Op>(operations: &[&Operation<Op>], is_open: impl Fn(&Op) -> bool) -> Spans {
    let times = |Operation { client, call, ret, op }: &Operation<Op>| Times {
        client: *client,
        call: *call,
        end: ret.filter(|_| !is_open(op)),
        took_none: *ret == Some(*call),
    };
    let times: Vec<_> = operations.iter().map(|operation| times(operation)).collect();
    let meetings = meetings(&times);
    let events = events(&times, &meetings);
    let mut spans = vec![Span::ANY; times.len()];
    let (mut place, mut before) = (0, None);
    for (order, op, is_ret) in events {
        // Events with the same order share a position.
        place += u32::from(before != Some(order));
        before = Some(order);
        match is_ret {
            true => spans[op as usize].ret = Some(place),
            false => spans[op as usize].call = place,
        }
    }
    let is_crowded = |(_, then): &(u32, u32)| {
        let at = times[*then as usize].call;
        matches!(meetings.crowds.get(&at), Some(Crowd::Several))
    };
    let links = meetings.links.iter().filter(|link| is_crowded(link));
    Spans::linked(spans, links.map(|(first, then)| (*then, *first)).collect())
}

/// How many clients call again at the moment of their return.
enum Crowd {
    One(u64),
    Several,
}

/// Which two operations of one client meet at a moment: the earlier and the later one.
struct Meetings {
    links: Vec<(u32, u32)>,
    crowds: FxHashMap<Instant, Crowd>,
}

fn meetings(times: &[Times]) -> Meetings {
    let mut by_client: Vec<u32> = (0..times.len() as u32).collect();
    by_client.sort_by_key(|op| times[*op as usize].client);
    let mut meetings = Meetings { links: Vec::new(), crowds: FxHashMap::default() };
    let client = |op: u32| times[op as usize].client;
    for of_one in by_client.chunk_by(|a, b| client(*a) == client(*b)) {
        // The operation that ended at this moment, and the operations of no duration at this moment. The order of the latter
        // can't be known.
        let mut moment: Option<(Instant, Option<u32>)> = None;
        let mut instant: Vec<u32> = Vec::new();
        for &op in of_one {
            let this = &times[op as usize];
            let call = this.call;
            if moment.is_none_or(|(at, _)| at != call) {
                moment = Some((call, None));
                instant.clear();
            }
            let ended = moment.and_then(|(_, ended)| ended);
            if this.took_none || instant.is_empty() {
                ended.into_iter().for_each(|first| meetings.add(first, op, this));
            } else {
                instant.iter().for_each(|first| meetings.add(*first, op, this));
            }
            match this.end {
                Some(_) if this.took_none => instant.push(op),
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
    fn add(&mut self, first: u32, then: u32, times: &Times) {
        self.links.push((first, then));
        let crowd = self.crowds.entry(times.call).or_insert(Crowd::One(times.client));
        if matches!(crowd, Crowd::One(other) if *other != times.client) {
            *crowd = Crowd::Several;
        }
    }
}

type Order = (Instant, u8);

/// All calls and returns in the order of time.
fn events(times: &[Times], meetings: &Meetings) -> Vec<(Order, u32, bool)> {
    let mut events = Vec::with_capacity(2 * times.len());
    for (op, Times { client, call, end, took_none }) in times.iter().enumerate() {
        let goes_on = |at: Instant| {
            let one = meetings.crowds.get(&at);
            matches!(one, Some(Crowd::One(one)) if one == client)
        };
        // For the client that calls again: first the return of what ended, then what has no duration, then the new call.
        let order = match (goes_on(*call), took_none) {
            (false, _) => 0,
            (true, true) => 2,
            (true, false) => 4,
        };
        events.push(((*call, order), op as u32, false));
        if let Some(at) = *end {
            let order = match (goes_on(at), took_none) {
                (false, _) => 5,
                (true, true) => 3,
                (true, false) => 1,
            };
            events.push(((at, order), op as u32, true));
        }
    }
    events.sort_unstable();
    events
}
