//! The random options of a run.

use super::machine::{Members, Setup};
use labrpc::rand::Stream;
use labrpc::time::Duration;

impl Setup {
    /// Random options with which a correct Raft must be able to run.
    pub(super) fn draw(dice: &Stream) -> Setup {
        let yes = |label, of_ten| dice.chance(label, of_ten, 10);
        let servers = [1, 2, 3, 3, 3, 4, 5, 5, 5, 6, 7][dice.below("servers", 11) as usize];
        let heartbeat = dice.millis("heartbeat", 20..100);
        let shortest = heartbeat * dice.range("heartbeats in a timeout", 3..8) as u32;
        let longest = shortest + shortest * dice.range("timeouts differ by", 20..120) as u32 / 100;
        let check_quorum = yes("check quorum", 4);
        let lease = (check_quorum && yes("lease", 7))
            .then(|| shortest * dice.range("lease", 50..99) as u32 / 100);
        Setup {
            servers,
            members: first_members(dice, servers),
            heartbeat,
            election_timeout: shortest..longest,
            call_timeout: heartbeat,
            retry: dice.millis("retry", 5..30).min(heartbeat),
            no_op_on_election: yes("no-op", 4),
            pre_vote: yes("pre-vote", 4),
            check_quorum,
            lease,
            max_batch: [1, 1, 40, 1 << 20][dice.below("batch", 4) as usize],
            max_in_flight: [1, 1, 2, 4][dice.below("in flight", 4) as usize],
            overtaking: dice.millis("overtaking", 0..3) * 2,
            // With pieces of a byte or two, a snapshot would take more round trips than a configuration change may take here.
            snapshot_chunk: yes("pieces", 5).then(|| dice.range("piece", 8..40) as usize),
            max_uncommitted: yes("bounded", 3).then(|| dice.range("uncommitted", 1..10)),
            catch_up_rounds: dice.range("rounds", 1..10) as u32,
        }
    }

    /// How much faster the fastest clock may be than the slowest, in parts per thousand. While one server counts the shortest
    /// election timeout, no other server may count less than the lease.
    pub(super) fn drift(&self) -> u64 {
        let Some(lease) = self.lease else { return 200 };
        let ratio = self.election_timeout.start.as_nanos() * 1000 / lease.as_nanos().max(1);
        (ratio as u64).saturating_sub(1001)
    }
}

/// Usually all servers are members; sometimes there are spare servers.
fn first_members(dice: &Stream, servers: usize) -> Members {
    let spare = match dice.chance("spare servers", 4, 10) {
        true => dice.below("how many spare", servers as u64) as usize,
        false => 0,
    };
    (0..servers - spare).collect()
}

/// The clock of a server. It starts at any time and is never slower than the clock of the run, but up to [`Setup::drift`]
/// faster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    set_at: Duration,
    began_with: Duration,
    per_thousand: u64,
}

impl Clock {
    /// The clock of a new incarnation.
    pub fn draw(dice: &Stream, setup: &Setup, now: Duration) -> Clock {
        let began_with = dice.millis("clock", 0..10_000);
        let fast = match dice.below("clock speed", 3) {
            0 => 0,
            1 => setup.drift(),
            _ => dice.below("clock drift", setup.drift() + 1),
        };
        Clock { set_at: now, began_with, per_thousand: 1000 + fast }
    }

    /// The time that it shows at time `now` of the run.
    pub fn at(&self, now: Duration) -> labrpc::time::Instant {
        let passed = (now - self.set_at).as_nanos() as u64;
        let counted = Duration::from_nanos(passed / 1000 * self.per_thousand);
        labrpc::time::Instant::at(self.began_with + counted)
    }
}
