//! The numbers that Raft leaves open, and what goes beyond the lab.

use super::log::Members;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Timeouts and switches, each with its reason. The default is the lab's Raft. Values that cannot be right are refused when a
/// server is made: see [`Options::validate`].
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a leader is heard from when there is nothing to say. The lab allows at most ten a second.
    pub heartbeat: Duration,
    /// How long a follower waits for a leader before it stands itself; each wait is drawn anew from this range
    /// (§5.2). Longer than the paper's 150-300 ms: heartbeats come only every 100 ms here, and on a busy machine late.
    /// The range is wide, so that split votes are rare, and short enough for several elections in the 5 s that the
    /// lab allows.
    pub election_timeout: Range<Duration>,
    /// How long to wait for a reply before the next message goes to the same server. Not longer than the heartbeat: the lab's network
    /// keeps a call to an unreachable server for up to 7 s, and a server that came back in that time would hear nothing. A reply may
    /// come later than this, but not later than the shortest election timeout: see [`calls`](super::calls).
    pub call_timeout: Duration,
    /// If a call got no reply, the next one to the same server is sent this long after it was, or as soon as it has
    /// timed out.
    pub retry: Duration,

    /// Whether a new leader appends a no-op at once, and so commits what earlier terms have left (§8). Off: the lab's tests
    /// count indices. What needs an entry of the present term appends one then.
    pub no_op_on_election: bool,
    /// Whether a server asks if it would be elected, before it raises its term (thesis §9.6). See
    /// [`pre_vote`](super::beyond::pre_vote).
    pub pre_vote: bool,
    /// Whether a leader that hears from no majority steps down, and who hears a leader gives no votes (thesis §6.2, §4.2.3). See
    /// [`check_quorum`](super::beyond::check_quorum).
    pub check_quorum: bool,
    /// For how long after a message that a majority has answered the leader takes it that there is no other, and reads
    /// without asking (thesis §6.4.1). It rests on the clocks: while one server counts the shortest election timeout, no other
    /// may count less than this. Needs [`check_quorum`](Options::check_quorum).
    pub lease: Option<Duration>,

    /// How many bytes of commands go into one AppendEntries; one entry goes in any case.
    pub max_batch: usize,
    /// How many AppendEntries may be under way to a server at once.
    pub max_in_flight: usize,
    /// For how long entries wait for those that they follow, if they have overtaken them on their way; else the leader would have to
    /// begin anew. Longer than messages that were sent together are apart when they come.
    pub overtaking: Duration,
    /// How many bytes of a snapshot go into one InstallSnapshot; `None`: all.
    pub snapshot_chunk: Option<usize>,
    /// How many entries may wait for their commitment before a leader takes no more; `None`: any number.
    pub max_uncommitted: Option<u64>,

    /// The members at first; `None`: all servers. See [`membership`](super::beyond::membership).
    pub members: Option<Members>,
    /// In how many rounds a new server must have caught up with the log (thesis §4.2.1).
    pub catch_up_rounds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(500)..Duration::from_millis(1000),
            call_timeout: Duration::from_millis(100),
            retry: Duration::from_millis(30),
            no_op_on_election: false,
            pre_vote: false,
            check_quorum: false,
            lease: None,
            max_batch: 1 << 20,
            max_in_flight: 1,
            overtaking: Duration::ZERO,
            snapshot_chunk: None,
            max_uncommitted: None,
            members: None,
            catch_up_rounds: 10,
        }
    }
}

/// An option with which no Raft can work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOption {
    /// Its name.
    pub option: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Options::{}: {}", self.option, self.reason)
    }
}

impl std::error::Error for InvalidOption {}

impl Options {
    /// Finds an option that cannot be right for a cluster of so many servers. [`Raft::make_with`](super::Raft::make_with) panics
    /// with what this says: the alternative is a server that silently never does something.
    ///
    /// # Errors
    /// The first such option.
    pub fn validate(&self, servers: usize) -> Result<(), InvalidOption> {
        let timeouts = &self.election_timeout;
        let known = |members: &Members| members.iter().all(|member| *member < servers);
        let rules = [
            ("heartbeat", self.heartbeat.is_zero(), "a leader would send without a pause"),
            ("election_timeout", timeouts.is_empty(), "the range is empty, so none can be drawn"),
            (
                "election_timeout",
                timeouts.start.is_zero(),
                "a server would not wait for its leader",
            ),
            ("call_timeout", self.call_timeout.is_zero(), "no call could be answered in time"),
            (
                "lease",
                self.lease.is_some() && !self.check_quorum,
                "it needs check_quorum, or voters elect another leader while it lasts (thesis §6.4.1)",
            ),
            (
                "lease",
                self.lease.is_some_and(|lease| lease > timeouts.start),
                "it is longer than the shortest election timeout, so another leader may be elected while it lasts (thesis §6.4.1)",
            ),
            ("max_in_flight", self.max_in_flight == 0, "nothing could be sent"),
            (
                "overtaking",
                self.overtaking >= self.call_timeout,
                "entries would wait for longer than their call_timeout, so their leader would not hear the answer",
            ),
            (
                "snapshot_chunk",
                self.snapshot_chunk == Some(0),
                "pieces without a byte never make a snapshot",
            ),
            ("max_uncommitted", self.max_uncommitted == Some(0), "every command would be refused"),
            (
                "members",
                self.members.as_ref().is_some_and(Members::is_empty),
                "a cluster needs one",
            ),
            (
                "members",
                !self.members.as_ref().is_none_or(known),
                "all of them must be among the servers of the network",
            ),
            ("catch_up_rounds", self.catch_up_rounds == 0, "a new server needs one round at least"),
        ];
        let wrong = rules.into_iter().find(|(_, wrong, _)| *wrong);
        wrong.map_or(Ok(()), |(option, _, reason)| Err(InvalidOption { option, reason }))
    }

    /// Everything on, but for the no-op, which would move the indices of the lab's tests.
    pub fn beyond_the_lab() -> Options {
        Options {
            pre_vote: true,
            check_quorum: true,
            // Clocks that differ by less than a tenth.
            lease: Some(Duration::from_millis(450)),
            max_batch: 16 << 10,
            max_in_flight: 4,
            overtaking: Duration::from_millis(5),
            snapshot_chunk: Some(4 << 10),
            max_uncommitted: Some(1000),
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::State;
    use super::super::tests::at_ms;
    use super::*;
    use labrpc::Persister;

    const SERVERS: usize = 3;

    type Change = fn(&mut Options);

    /// Both sets of options with one of them changed, and the name of that.
    fn changed(option: &str, change: Change) -> [Options; 2] {
        [Options::default(), Options::beyond_the_lab()].map(|mut options| {
            assert_eq!(options.validate(SERVERS), Ok(()), "before {option} is changed");
            change(&mut options);
            options
        })
    }

    #[test]
    fn options_that_cannot_be_right_are_refused_by_name() {
        let cases: [(&str, Change); 14] = [
            ("heartbeat", |o| o.heartbeat = Duration::ZERO),
            ("election_timeout", |o| {
                o.election_timeout = o.election_timeout.end..o.election_timeout.start
            }),
            ("election_timeout", |o| {
                o.election_timeout = o.election_timeout.start..o.election_timeout.start
            }),
            ("election_timeout", |o| o.election_timeout.start = Duration::ZERO),
            ("call_timeout", |o| o.call_timeout = Duration::ZERO),
            ("lease", |o| (o.lease, o.check_quorum) = (Some(Duration::from_millis(1)), false)),
            ("lease", |o| (o.lease, o.check_quorum) = (Some(Duration::from_millis(501)), true)),
            ("max_in_flight", |o| o.max_in_flight = 0),
            ("overtaking", |o| o.overtaking = o.call_timeout),
            ("snapshot_chunk", |o| o.snapshot_chunk = Some(0)),
            ("max_uncommitted", |o| o.max_uncommitted = Some(0)),
            ("members", |o| o.members = Some(Members::new())),
            ("members", |o| o.members = Some(Members::from([0, SERVERS]))),
            ("catch_up_rounds", |o| o.catch_up_rounds = 0),
        ];
        for (option, change) in cases {
            for options in changed(option, change) {
                let refused = options.validate(SERVERS).expect_err(option);
                assert_eq!(refused.option, option, "{refused}");
            }
        }
    }

    #[test]
    fn the_edges_of_what_can_be_right_are_allowed() {
        for options in changed("the edges", |o| {
            o.election_timeout = Duration::from_millis(500)..Duration::from_nanos(500_000_001);
            (o.lease, o.check_quorum) = (Some(Duration::from_millis(500)), true);
            (o.max_in_flight, o.max_batch) = (1, 0);
            (o.snapshot_chunk, o.max_uncommitted, o.catch_up_rounds) = (Some(1), Some(1), 1);
            o.members = Some(Members::from([SERVERS - 1]));
        }) {
            assert_eq!(options.validate(SERVERS), Ok(()));
        }
    }

    #[test]
    #[should_panic(
        expected = "Options::snapshot_chunk: pieces without a byte never make a snapshot"
    )]
    fn no_server_is_made_with_them() {
        let options = Options { snapshot_chunk: Some(0), ..Options::default() };
        State::new(0, SERVERS, Persister::new(), options, at_ms(0));
    }
}
