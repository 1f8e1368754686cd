//! How long a run is, for its reader.

use crate::names::parse_end;
use crate::reading::{Ask, Part, Reading};
use labrpc::run;
use labrpc::time::Duration;
use labrpc::trace::{Event, Sink, What};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The size of a run. Sizes are compared in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// How many messages servers sent to other servers: requests and replies, each of which counts as one, also if it is lost. A
    /// heartbeat (AppendEntries without entries) and the reply to it count only if the reply refuses it.
    pub messages: u64,
    /// How many events there were.
    pub events: u64,
    /// How long it took on the run's clock.
    pub time: Duration,
}

/// Measures a run, and ends it when it is longer than allowed.
#[derive(Clone)]
pub(super) struct Meter {
    most: Size,
    reading: Option<Reading>,
    counted: Arc<Mutex<Counted>>,
}

#[derive(Default)]
struct Counted {
    messages: u64,
    events: u64,
    /// The calls between servers that may still be answered.
    calls: BTreeMap<u64, Call>,
}

#[derive(Clone, Copy)]
struct Call {
    part: Part,
    method: &'static str,
    idle: bool,
}

impl Meter {
    /// Measures the whole run.
    pub fn unlimited() -> Meter {
        let most = Size { messages: u64::MAX, events: u64::MAX, time: Duration::MAX };
        Meter::up_to(most)
    }

    /// Ends the run when one of these numbers is passed.
    pub fn up_to(most: Size) -> Meter {
        Meter { most, reading: None, counted: Arc::default() }
    }

    /// Sets how messages are read.
    pub fn reading(self, reading: Reading) -> Meter {
        Meter { reading: Some(reading), ..self }
    }

    /// The size of the run, which took this time.
    pub fn size(&self, time: Duration) -> Size {
        let counted = self.counted.lock();
        Size { messages: counted.messages, events: counted.events, time }
    }

    /// What a call between servers is. `None`: it has another sender or receiver.
    fn call(&self, what: &What) -> Option<(u64, Call)> {
        let What::Called { call, end, method, args } = what else { return None };
        let (from, _, to) = parse_end(end)?;
        let read = |reading: &Reading| {
            reading.ask(end, method, args, |ask, _| match ask {
                Ask::Append { logs, .. } => (Part::AppendReply, logs.carries() == Some(0)),
                Ask::Vote { .. } => (Part::VoteReply, false),
                Ask::Install { .. } => (Part::InstallReply, false),
                Ask::PreVote | Ask::Harmless | Ask::Unknown => (Part::AppendReply, false),
            })
        };
        let (part, idle) = self.reading.as_ref().map_or((Part::AppendReply, false), read);
        (from != to).then_some((*call, Call { part, method, idle }))
    }

    /// How many messages an event adds.
    fn messages(&self, what: &What, calls: &mut BTreeMap<u64, Call>) -> u64 {
        if let Some((number, call)) = self.call(what) {
            calls.insert(number, call);
            return u64::from(!call.idle);
        }
        let What::Answered { call, end, reply } = what else { return 0 };
        let Some(Call { part, method, idle }) = calls.get(call).copied() else { return 0 };
        let refuses =
            |reading: &Reading| reading.reply(end, method, part, reply).yes == Some(false);
        match idle {
            false => 1,
            true if self.reading.as_ref().is_some_and(refuses) => 2,
            true => 0,
        }
    }
}

impl Sink for Meter {
    fn event(&mut self, event: &Event) {
        let counted = &mut *self.counted.lock();
        counted.events += 1;
        counted.messages += self.messages(&event.what, &mut counted.calls);
        let Size { messages, events, time } = self.most;
        if counted.messages > messages || counted.events > events || event.at > time {
            run::condemn("this run is longer than it may be");
        }
    }

    fn reads_words(&self) -> bool {
        false
    }
}
