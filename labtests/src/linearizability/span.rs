//! When an operation may have taken effect.

use super::Operation;
use labrpc::time::Instant;
use rustc_hash::FxHashMap;
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
    /// Where those of each operation begin; empty if there are none at all.
    starts: Vec<u32>,
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

    /// Pairs of operations of one client: the first returned at the moment at which the second was called.
    pub fn links(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.links.iter().map(|(then, first)| (*first as usize, *then as usize))
    }

    /// What comes before this one by a link.
    pub fn before(&self, op: usize) -> impl Iterator<Item = usize> {
        let range = match self.starts.get(op..op + 2) {
            Some(range) => range[0] as usize..range[1] as usize,
            None => 0..0,
        };
        self.links[range].iter().map(|(_, first)| *first as usize)
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
        let spans = left.iter().map(|op| span(*op)).collect();
        Spans::linked(spans, self.links.iter().filter_map(link).collect())
    }
}

/// When one client did something. The operations lie scattered in memory, and these are looked at several times.
struct Times {
    client: u64,
    call: Instant,
    /// When it certainly had taken effect. `None`: at any time, or never.
    end: Option<Instant>,
    took_none: bool,
}

/// Of the operations of one key, which stand in the order of their calls, and with one call in that of their returns.
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
        // Events of equal order share a place.
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

/// How many clients go on at the moment of their return.
enum Crowd {
    One(u64),
    Several,
}

/// Which operations of one client meet at a moment: first and second.
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
        // The operation that ended at the moment, and then those that took no time there. The order of these can't be known.
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
        // The one who goes on: what ended, what took no time, what goes on from here.
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
