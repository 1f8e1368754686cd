//! 2A+, about leaders: what they send and how often, and that no server waits for a leader of an older term (§5.1, §5.2).

use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, ms};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2A+", Raft:
    stale_leader_does_not_reset_election_timer = "OldLeaderBuysNoTime", reliable(3);
    new_leader_sends_heartbeats_at_once = "HeartbeatUponElection", reliable(3);
    late_votes_do_not_elect_again = "IdleLeaderOfSeven", reliable(7);
    calls_to_unreachable_server_are_bounded = "UnreachableServer", reliable(5);
}

/// Deposes S0, and lets only its AppendEntries reach S2, which knows of a newer term. They must not reset S2's election timeout
/// (Figure 2, Followers).
fn stale_leader_does_not_reset_election_timer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.elect(0, &[1, 2]);
    stage.settle();
    deposed_leader_speaks_on(&stage, Kind::Entries);
}

/// S0 leads, and S2 elects S1. After that, S2 hears only S0's messages of this kind. S2 must become a candidate: an election
/// timeout is reset by "AppendEntries RPC from current leader" (Figure 2, Followers).
pub(crate) fn deposed_leader_speaks_on(stage: &Stage<'_>, kind: Kind) {
    let [s0, s1, s2] = [0, 1, 2];
    let cluster = stage.cluster;
    stage.caption("S2 elects S1; S0 still leads its old term, and doesn't hear of S1");
    stage.elect(s1, &[s2]);
    stage.caption("S2 hears S0, but not S1; no answer reaches S0");
    stage.direct(move |mail| match () {
        () if mail.from == s0 && mail.to == s2 && mail.kind == kind && mail.is_call() => {
            Fate::Deliver
        }
        () => Fate::Drop,
    });
    let from = Instant::now();
    // A follower that calls another server asks for its vote, or for a pre-vote.
    let stands = |mail: &Mail| mail.from == s2 && mail.at > from && mail.is_call();
    let stood = stage.until(5 * ELECTION_TIMEOUT, || !stage.mail(stands).is_empty());
    let speaks =
        |mail: &Mail| mail.from == s0 && mail.to == s2 && mail.kind == kind && mail.at > from;
    if !stage.mail(speaks).is_empty() {
        cluster.reached_check();
    }
    if !stood {
        run::fail(format!(
            "for {1:?}, {0} heard only {2}, a leader of an older term, but {0} did not become a candidate. A server must refuse \
             a call with an older term (§5.1), and such a call does not reset the election timeout. Of all leaders, only the \
             current one resets it (Figure 2, Followers); {3}",
            name(s2),
            5 * ELECTION_TIMEOUT,
            name(s0),
            cluster.who_thinks_what()
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// How soon "at once" is. Some leaders wait for a whole heartbeat interval, a tenth of a second, before their first heartbeat. That
/// is too late.
const AT_ONCE: Duration = ms(60);

/// Elects a leader six times and measures when it sends its first AppendEntries. "Upon election: send initial empty
/// AppendEntries RPCs (heartbeat) to each server" (Figure 2, Leaders). It must do so at once, before other servers become
/// candidates, too.
fn new_leader_sends_heartbeats_at_once(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let mut soonest = None;
    for round in 0..6 {
        let leader = round % 3;
        let others = [1, 2].map(|steps| after(cluster, leader, steps));
        let term = stage.elect(leader, &others);
        stage.settle();
        let of_term = |mail: &Mail| mail.from == leader && mail.term == Some(term);
        let voted = |mail: &Mail| of_term(mail) && mail.reply.yes == Some(true);
        let entries = |mail: &Mail| of_term(mail) && mail.kind == Kind::Entries && mail.is_call();
        let Some(elected) = stage.mail(voted).first().map(|mail| mail.at) else { continue };
        let Some(heard) = stage.mail(entries).first().map(|mail| mail.at) else { continue };
        let late = heard.saturating_duration_since(elected);
        soonest = Some(soonest.map_or(late, |soonest| late.min(soonest)));
    }
    if soonest.is_some() {
        cluster.reached_check();
    }
    if let Some(late) = soonest.filter(|late| *late > AT_ONCE) {
        run::fail(format!(
            "every new leader sent its first AppendEntries {late:?} or more after it was elected. \"Upon election: send initial \
             empty AppendEntries RPCs (heartbeat) to each server\" (Figure 2, Leaders). A leader must send them at once, and \
             then ten times a second"
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// How many calls a second an idle leader may make to each follower. The Go lab asks for ten heartbeats a second, and its test
/// `count` allows as many calls as this. A heartbeat every 50 ms makes twenty.
const IDLE_CALLS: u64 = 30;

/// Counts the calls of an idle leader of seven servers. It gets up to six votes, three of them when it leads already. These
/// late votes must not make it the leader again and so start more heartbeats (Figure 2, Candidates).
fn late_votes_do_not_elect_again(cluster: &Cluster) {
    cluster.check_one_leader();
    cluster.sleep(ELECTION_TIMEOUT);
    const SECONDS: u64 = 3;
    let before = cluster.net().total_count();
    cluster.sleep(Duration::from_secs(SECONDS));
    let calls = cluster.net().total_count() - before;
    cluster.reached_check();
    let allowed = IDLE_CALLS * SECONDS * (cluster.n() as u64 - 1);
    if calls > allowed {
        run::fail(format!(
            "the servers made {calls} calls in {SECONDS} s without commands. At most {allowed} are allowed, that is, \
             {IDLE_CALLS} a second to each follower. A leader sends one heartbeat to each follower per interval. A vote that \
             comes after the vote that elected the leader changes nothing (Figure 2, Candidates)"
        ));
    }
}

/// How long the calls to a crashed server are counted, at the beginning and again half a minute later.
const COUNTED: Duration = Duration::from_secs(5);

/// Crashes a follower and counts the calls to it, at the beginning and half a minute later. A call to a crashed server fails
/// after seconds, and each heartbeat is such a call, so there may be many at a time. But their number must not keep growing
/// (§5.3).
fn calls_to_unreachable_server_are_bounded(cluster: &Cluster) {
    let leader = cluster.check_one_leader();
    cluster.crash(after(cluster, leader, 1));
    let up: Vec<_> = (0..cluster.n()).filter(|&i| cluster.is_connected(i)).collect();
    let in_vain = || {
        let net = cluster.net();
        let made = || net.total_count() - up.iter().map(|&i| net.count(&name(i))).sum::<u64>();
        let before = made();
        cluster.sleep(COUNTED);
        made().saturating_sub(before)
    };
    cluster.sleep(Duration::from_secs(8)); // longer than any call takes
    let first = in_vain();
    cluster.sleep(Duration::from_secs(25));
    let then = in_vain();
    cluster.reached_check();
    if then > 2 * first + 50 {
        run::fail(format!(
            "the servers made {first} calls to a crashed server in {COUNTED:?}. Half a minute later, they made {then} calls to \
             it in an equally long time. A retry must replace the call that failed. If each heartbeat starts another chain of \
             retries, the number of threads and calls keeps growing (§5.3: a leader retries indefinitely, but one call at a time)"
        ));
    }
}
