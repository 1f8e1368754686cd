//! The numbers that Raft leaves open, and switches for what goes beyond the lab.

use super::log::Members;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// Timeouts and switches, each with its reason. The default is the lab's Raft. Invalid values are refused when a server is made:
/// see [`Options::validate`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The interval between heartbeats when a leader has nothing else to send. The lab allows at most ten heartbeats a second.
    pub heartbeat: Duration,
    /// How long a follower waits for a leader before it becomes a candidate. Each wait is a new random time from this range
    /// (§5.2). The times are longer than the paper's 150-300 ms, because heartbeats come only every 100 ms here, and even later
    /// on a busy machine. The range is wide, so that split votes are rare. Its times are short enough for several elections in
    /// the 5 s that the lab allows.
    pub election_timeout: Range<Duration>,
    /// How long to wait for a reply before the next message goes to the same server. This is not longer than the heartbeat
    /// interval, because the lab's network keeps a call to an unreachable server for up to 7 s, and a server that comes back in
    /// that time would hear nothing. A reply may come later than this, but not later than the shortest election timeout: see
    /// [`calls`](super::calls).
    pub call_timeout: Duration,
    /// If a call gets no reply, the next call to the same server is sent this long after the first one was sent. If the first one
    /// times out later than that, the next call is sent at the timeout.
    pub retry: Duration,

    /// Whether a new leader appends a no-op at once, and so commits the entries that earlier terms have left (§8). Off by default,
    /// because the lab's tests count indices. While it is off, a feature that needs an entry of the current term appends a no-op
    /// when it is used.
    pub no_op_on_election: bool,
    /// Whether a server asks if it would be elected, before it raises its term (thesis §9.6). See
    /// [`pre_vote`](super::beyond::pre_vote).
    pub pre_vote: bool,
    /// Whether a leader that hears from no majority steps down, and a server that hears from a leader grants no votes (thesis §6.2,
    /// §4.2.3). See [`check_quorum`](super::beyond::check_quorum).
    pub check_quorum: bool,
    /// The length of a leader's lease (thesis §6.4.1). It begins when the leader sends a message that a majority then answers.
    /// While it lasts, the leader assumes that there is no other leader, and reads without asking. It depends on the clocks:
    /// while the clock of one server counts the shortest election timeout, no other clock may count less than the lease. It needs
    /// [`check_quorum`](Options::check_quorum).
    pub lease: Option<Duration>,

    /// How many bytes of entries go into one AppendEntries at most. One entry is sent in any case.
    pub max_batch: usize,
    /// How many AppendEntries to one server may be without a reply at the same time.
    pub max_in_flight: usize,
    /// How long a follower keeps entries that have overtaken earlier entries on the network, until the earlier ones come.
    /// Otherwise it would reject them, and the leader would have to go back. Messages that were sent together should arrive
    /// within this time.
    pub overtaking: Duration,
    /// How many bytes of a snapshot go into one InstallSnapshot; `None`: all of them.
    pub snapshot_chunk: Option<usize>,
    /// How many entries may wait to be committed before a leader refuses commands; `None`: any number.
    pub max_uncommitted: Option<u64>,

    /// The initial members; `None`: all servers. See [`membership`](super::beyond::membership).
    pub members: Option<Members>,
    /// In how many rounds a new server must catch up with the log (thesis §4.2.1).
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
    /// Finds an option that is invalid for a cluster of this many servers. [`Raft::make_with`](super::Raft::make_with) panics
    /// with this error. Otherwise the server would run, but there would be something that it never does, and nobody would notice.
    ///
    /// # Errors
    /// The first invalid option.
    pub fn validate(&self, servers: usize) -> Result<(), InvalidOption> {
        let timeouts = &self.election_timeout;
        let known = |members: &Members| members.iter().all(|member| *member < servers);
        let rules = [
            (
                "heartbeat",
                self.heartbeat.is_zero(),
                "it is 0, so a leader would send without a pause",
            ),
            (
                "election_timeout",
                timeouts.is_empty(),
                "the range is empty, so no timeout can be chosen",
            ),
            (
                "election_timeout",
                timeouts.start.is_zero(),
                "the range begins at 0, so a server might not wait for its leader",
            ),
            (
                "call_timeout",
                self.call_timeout.is_zero(),
                "it is 0, so no call could be answered in time",
            ),
            (
                "lease",
                self.lease.is_some() && !self.check_quorum,
                "it needs check_quorum. Otherwise voters may elect another leader while it lasts (thesis §6.4.1)",
            ),
            (
                "lease",
                self.lease.is_some_and(|lease| lease > timeouts.start),
                "it is longer than the shortest election timeout, so another leader may be elected while it lasts (thesis §6.4.1)",
            ),
            ("max_in_flight", self.max_in_flight == 0, "it is 0, so nothing could be sent"),
            (
                "overtaking",
                self.overtaking >= self.call_timeout,
                "it is not shorter than call_timeout, so a leader would stop waiting before its entries are answered",
            ),
            (
                "snapshot_chunk",
                self.snapshot_chunk == Some(0),
                "it is 0, and empty chunks never make a snapshot",
            ),
            (
                "max_uncommitted",
                self.max_uncommitted == Some(0),
                "it is 0, so every command would be refused",
            ),
            (
                "members",
                self.members.as_ref().is_some_and(Members::is_empty),
                "a cluster needs at least one member",
            ),
            (
                "members",
                !self.members.as_ref().is_none_or(known),
                "every member must be one of the servers of the network",
            ),
            (
                "catch_up_rounds",
                self.catch_up_rounds == 0,
                "it is 0, but a new server needs at least one round",
            ),
        ];
        let wrong = rules.into_iter().find(|(_, wrong, _)| *wrong);
        wrong.map_or(Ok(()), |(option, _, reason)| Err(InvalidOption { option, reason }))
    }

    /// Everything is on except the no-op, which would move the log indices that the lab's tests count.
    pub fn beyond_the_lab() -> Options {
        Options {
            pre_vote: true,
            check_quorum: true,
            // Safe if the clocks' speeds differ by less than a tenth.
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

    /// Both sets of options, each with one option changed. `option` is its name.
    fn changed(option: &str, change: Change) -> [Options; 2] {
        [Options::default(), Options::beyond_the_lab()].map(|mut options| {
            assert_eq!(options.validate(SERVERS), Ok(()), "before {option} is changed");
            change(&mut options);
            options
        })
    }

    #[test]
    fn invalid_options_are_refused_by_name() {
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
    fn the_limits_of_what_is_valid_are_allowed() {
        for options in changed("each limit", |o| {
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
        expected = "Options::snapshot_chunk: it is 0, and empty chunks never make a snapshot"
    )]
    fn no_server_is_made_with_an_invalid_option() {
        let options = Options { snapshot_chunk: Some(0), ..Options::default() };
        State::new(0, SERVERS, Persister::new(), options, at_ms(0));
    }
}
