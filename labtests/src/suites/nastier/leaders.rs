//! 2A+, of leaders: what they send and how often, and that nobody waits for one whose term is over (§5.1, §5.2).

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, ms};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2A+", Raft:
    old_leader_buys_no_time = "OldLeaderBuysNoTime", reliable(3);
    heartbeat_upon_election = "HeartbeatUponElection", reliable(3);
    idle_leader_of_seven = "IdleLeaderOfSeven", reliable(7);
    unreachable_server = "UnreachableServer", reliable(5);
}

/// S0 leads, and is deaf from then on. Its calls are no reason to wait for those who know of a newer term.
fn old_leader_buys_no_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.elect(0, &[1, 2]);
    stage.settle();
    deposed_leader_speaks_on(&stage, Kind::Entries);
}

/// S0 leads, and S1 is elected by S2; then S2 hears nothing but what S0 says of this kind. It must stand for election: an
/// election timeout is reset by "AppendEntries RPC from current leader" (Figure 2, Followers).
pub(crate) fn deposed_leader_speaks_on(stage: &Stage<'_>, kind: Kind) {
    let [s0, s1, s2] = [0, 1, 2];
    let cluster = stage.cluster;
    stage.caption("S1 is elected by S2; S0 leads on in its old term, and hears nothing of it");
    stage.elect(s1, &[s2]);
    stage.caption("S1 is heard no more, and S0 is, by S2; no answer reaches it");
    stage.direct(move |mail| match () {
        () if mail.from == s0 && mail.to == s2 && mail.kind == kind && mail.is_call() => {
            Fate::Deliver
        }
        () => Fate::Lose,
    });
    let from = Instant::now();
    // A follower that calls anybody asks for votes, or whether it would get them.
    let stands = |mail: &Mail| mail.from == s2 && mail.at > from && mail.is_call();
    let stood = stage.until(5 * ELECTION_TIMEOUT, || !stage.mail(stands).is_empty());
    let speaks =
        |mail: &Mail| mail.from == s0 && mail.to == s2 && mail.kind == kind && mail.at > from;
    if !stage.mail(speaks).is_empty() {
        cluster.reached_check();
    }
    if !stood {
        run::fail(format!(
            "{} does not stand for election for {:?}, in which it heard only {}, whose term is over. A call from an older \
             term is refused (§5.1), and buys no time: only the current leader resets the election timeout (Figure 2, \
             Followers); {}",
            name(s2),
            5 * ELECTION_TIMEOUT,
            name(s0),
            cluster.who_thinks_what()
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// Who waits with its first heartbeat as long as with the others, a tenth of a second, is later than this.
const AT_ONCE: Duration = ms(60);

/// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server" (Figure 2, Leaders): at once, before
/// others stand for election, too.
fn heartbeat_upon_election(cluster: &Cluster) {
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
            "new leaders sent their first AppendEntries {late:?} after they were elected, and never sooner than that. \"Upon \
             election: send initial empty AppendEntries RPCs (heartbeat) to each server\" (Figure 2, Leaders): at once, \
             and then ten times a second"
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// How many calls a second to a follower a leader may make that has nothing to say. The lab's `count` allows as many; it
/// asks for ten, and a heartbeat each 50 ms makes twenty.
const IDLE_CALLS: u64 = 30;

/// A leader of seven gets up to six votes, three of them when it leads already: they elect nobody once more.
fn idle_leader_of_seven(cluster: &Cluster) {
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
            "{calls} calls in {SECONDS} s in which there was nothing to say; at most {allowed} are allowed, {IDLE_CALLS} a \
             second to each follower. A leader sends its heartbeats once each interval; a vote that comes after the one \
             that elected it changes nothing (Figure 2, Candidates)"
        ));
    }
}

/// How long calls to a server that is down are counted, at the beginning and half a minute later.
const COUNTED: Duration = Duration::from_secs(5);

/// A call to a server that is down fails after seconds. There may be many at a time, for each heartbeat is one; but they
/// mustn't become ever more.
fn unreachable_server(cluster: &Cluster) {
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
            "{first} calls in {COUNTED:?} to a server that is down, and half a minute later {then}. What is sent again \
             when a call fails must take the place of that call: with a heartbeat that starts another such chain each \
             time, threads and calls become ever more (§5.3: a leader retries indefinitely, but one call at a time)"
        ));
    }
}
