//! 2A+: elections (§5.2) in clusters of other sizes, with messages that come twice, late or in one direction only, and in
//! scripts.

use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, ms};
use crate::suites::worlds::storm::{Fault, storm};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2A+", Raft:
    one_server_elects_itself = "OneServer", reliable(1);
    two_servers_elect_together = "TwoServers", reliable(2);
    four_servers_elect_with_three = "FourServers", reliable(4);
    duplicated_vote_requests = "DoubledVotes", reliable(5);
    elections_over_one_way_links = "AsymmetricPartitions", reliable(5);
    elections_with_delayed_votes = "LateVotes", reliable(5);
    lost_heartbeats_depose_no_leader = "SteadyLeader", unreliable(5);
    votes_of_earlier_candidacy_do_not_count = "VotesOfAnOldCandidacy", reliable(3);
    deaf_leader_steps_down_at_newer_term = "DeafLeader", reliable(3);
    candidate_follows_leader_of_its_term = "LeaderOfTheSameTerm", reliable(3);
    granted_vote_resets_election_timer = "GrantedVotesBuyTime", reliable(3);
}

/// Starts a single server. It is a majority, so it must lead and must not begin another election (§5.2).
fn one_server_elects_itself(cluster: &Cluster) {
    cluster.check_one_leader();
    let term = cluster.check_terms();
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.reached_check();
    if cluster.check_terms() != term {
        run::fail("the only server of the cluster was the leader, but it became a candidate again");
    }
    cluster.check_one_leader();
}

/// Cuts off one of two servers, then the other. One server is no majority, so neither may be elected alone (§5.2).
fn two_servers_elect_together(cluster: &Cluster) {
    for _ in 0..3 {
        let leader = cluster.check_one_leader();
        let other = after(cluster, leader, 1);
        cluster.disconnect(leader);
        cluster.sleep(2 * ELECTION_TIMEOUT);
        cluster.check_no_leader();
        cluster.connect(leader);
        cluster.check_one_leader();
        cluster.disconnect(other);
        cluster.sleep(2 * ELECTION_TIMEOUT);
        cluster.connect(other);
    }
    cluster.reached_check();
    cluster.check_one_leader();
}

/// Cuts off two of four servers. The other two are no majority: neither floor(n/2) nor ceil(n/2) servers are enough to elect a
/// leader (§5.2).
fn four_servers_elect_with_three(cluster: &Cluster) {
    for _ in 0..3 {
        let leader = cluster.check_one_leader();
        let next = after(cluster, leader, 1);
        cluster.disconnect(leader);
        cluster.check_one_leader();
        cluster.disconnect(next);
        cluster.sleep(2 * ELECTION_TIMEOUT);
        let rest = [2, 3].map(|steps| after(cluster, leader, steps));
        if rest.iter().any(|&i| matches!(cluster.state(i), Some((_, true)))) {
            // A server may have been elected while three were connected, and may still lead. But only one server may lead.
            cluster.check_one_leader();
        }
        cluster.connect(leader);
        cluster.check_one_leader();
        cluster.connect(next);
    }
    cluster.reached_check();
    cluster.check_one_leader();
}

/// Runs a storm in which requests for votes come twice, perhaps in a later term the second time, and servers are cut off one
/// after the other (§5.2).
fn duplicated_vote_requests(cluster: &Cluster) {
    storm(cluster, &[Fault::Duplicates, Fault::Reordering, Fault::Partitions], false);
}

/// Runs a storm in which links are slow or work in one direction only (§5.2).
fn elections_over_one_way_links(cluster: &Cluster) {
    storm(cluster, &[Fault::AsymmetricPartitions, Fault::SlowLinks], false);
}

/// How long an election with late votes may take. Twenty timeouts of up to 1.5 s fit into it. The election needs one or two
/// timeouts, or three if they are short.
const LATE_ELECTION: Duration = Duration::from_secs(30);

/// How many terms an election should take, on average, when two thirds of all votes come 200-2200 ms late. With five servers, a
/// candidate needs two votes besides its own. A candidate that waits half a second for them, or asks again, needs one or two
/// terms. With timeouts of 300-400 ms it needs about three terms, and that breaks no rule. So more terms are only a warning.
const TERMS_PER_LATE_ELECTION: u64 = 3;

/// Delays votes, some of them for longer than several elections take, and cuts off one leader after the other. With election
/// timeouts that are too short for the network there are elections without end: "broadcastTime << electionTimeout" (§5.6).
fn elections_with_delayed_votes(cluster: &Cluster) {
    cluster.net().long_reordering(true);
    const ELECTIONS: u64 = 20;
    let mut term = 0;
    for _ in 0..ELECTIONS {
        let (leader, led) = leader_from(cluster, term);
        cluster.disconnect(leader);
        term = leader_from(cluster, led + 1).1;
        cluster.connect(leader);
    }
    cluster.reached_check();
    let allowed = TERMS_PER_LATE_ELECTION * ELECTIONS;
    cluster.reached_check();
    if term > allowed {
        cluster.advise(format!(
            "after {ELECTIONS} lost leaders the term is {term}, but it should be {allowed} or less. Election timeouts that are \
             too short for the network cause one election after the other (§5.6: broadcastTime << electionTimeout)"
        ));
    }
}

/// How long messages are lost and late while no server fails.
const STEADY: Duration = Duration::from_secs(30);

/// How many terms should begin during [`STEADY`]. A follower that waits for four heartbeats or more hardly ever misses all of
/// them. A follower that waits for two often misses both (timeouts of 300-400 ms, a heartbeat every 130 ms: 18 terms), and
/// breaks no rule. So more terms are only a warning.
const TERMS_WHILE_STEADY: u64 = 10;

/// Loses a tenth of the requests and of the replies, and delays two thirds of the replies, while no server fails. The leader
/// should stay the leader. If one or two lost heartbeats make a follower a candidate, there is one election after the other
/// (§5.6).
fn lost_heartbeats_depose_no_leader(cluster: &Cluster) {
    cluster.net().long_reordering(true);
    let (_, before) = leader_from(cluster, 1);
    cluster.sleep(STEADY);
    let terms = (0..cluster.n()).filter_map(|i| cluster.state(i)).map(|(term, _)| term);
    let began = terms.max().unwrap_or(before) - before;
    cluster.reached_check();
    if began > TERMS_WHILE_STEADY {
        cluster.advise(format!(
            "{began} terms began in {STEADY:?} in which no server failed. There should be {TERMS_WHILE_STEADY} or fewer. An \
             election timeout should be so long that a follower can miss several heartbeats (§5.6: broadcastTime << \
             electionTimeout)"
        ));
    }
}

/// Waits for a connected leader of this term or a later one. Returns the leader and its term.
fn leader_from(cluster: &Cluster, term: u64) -> (usize, u64) {
    let began = Instant::now();
    while began.elapsed() < LATE_ELECTION {
        for i in (0..cluster.n()).filter(|&i| cluster.is_connected(i)) {
            if let Some((now, true)) = cluster.state(i)
                && now >= term
            {
                return (i, now);
            }
        }
        cluster.sleep(ms(10));
    }
    run::fail(format!(
        "there was no leader of term {term} or later for {LATE_ELECTION:?}: {}",
        cluster.who_thinks_what()
    ))
}

/// Holds the votes of one candidacy until the next candidacy of the same server. There they must not count (§5.2).
fn votes_of_earlier_candidacy_do_not_count(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let candidate = 0;
    stage.caption("S0 becomes a candidate; the votes for it are held");
    let to_it = move |mail: &Mail| mail.from == candidate && mail.kind == Kind::Vote;
    let granted = move |mail: &Mail| to_it(mail) && mail.reply.yes == Some(true);
    stage.direct(move |mail| match () {
        () if granted(mail) => Fate::Hold,
        () if to_it(mail) => Fate::Deliver,
        () => Fate::Drop,
    });
    stage.until(ms(20_000), || !stage.mail(granted).is_empty());
    if let Some(old) = stage.mail(granted).first().and_then(|mail| mail.term) {
        stage.caption("S0 becomes a candidate again; now no server hears it");
        stage.direct(|_| Fate::Drop);
        let again = |mail: &Mail| to_it(mail) && mail.term > Some(old);
        let stands = stage.until(ms(20_000), || !stage.mail(again).is_empty());
        stage.caption("the old votes arrive");
        if stage.release(|mail| mail.term == Some(old)) > 0 && stands {
            cluster.reached_check();
        }
        for _ in 0..20 {
            cluster.sleep(ms(5));
            let _ = cluster.state(candidate); // a server that leads without votes is caught here
        }
    }
    stage.over();
}

/// Lets an old leader hear nothing except the replies to its calls. These replies have a newer term, so it must step down (§5.1).
fn deaf_leader_steps_down_at_newer_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let old = cluster.check_one_leader();
    let [next, other] = [1, 2].map(|steps| after(cluster, old, steps));
    stage.caption("another leader is elected; the old leader doesn't hear of it");
    let term = stage.elect(next, &[other]);
    stage.caption("the old leader's calls are delivered and answered");
    stage.direct(move |mail| if mail.to == old { Fate::Drop } else { Fate::Deliver });
    cluster.reached_check();
    let stepped_down = || cluster.state(old).is_none_or(|(t, leads)| t >= term && !leads);
    if !stage.until(2 * ELECTION_TIMEOUT, stepped_down) {
        run::fail(format!(
            "for {1:?}, the calls of {0} were answered with a newer term, but {0} still leads. \"If RPC request or response \
             contains term T > currentTerm: set currentTerm = T, convert to follower\" (§5.1); {2}",
            name(old),
            2 * ELECTION_TIMEOUT,
            cluster.who_thinks_what()
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// Lets one of two candidates of a term be elected. The other candidate hears the new leader and must become its follower
/// (Figure 2, Candidates).
fn candidate_follows_leader_of_its_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..20 {
        let voter = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| after(cluster, voter, steps));
        stage.settle();
        let Some((winner, loser, term)) = same_term(&stage, voter, [a, b]) else { break };
        stage.caption("the old leader hears only one candidate, and elects it; the other candidate hears the new leader");
        stage.direct(move |mail| match () {
            () if mail.from == winner && (mail.to == voter || mail.kind == Kind::Entries) => {
                Fate::Deliver
            }
            () => Fate::Drop,
        });
        stage.release(|mail| mail.from == winner && mail.to == voter && mail.term == Some(term));
        let heard = |mail: &Mail| {
            let answer = mail.from == winner && mail.to == loser && mail.kind == Kind::Entries;
            answer && mail.term == Some(term) && mail.reply.term == Some(term)
        };
        let in_time = stage.until(ms(400), || !stage.mail(heard).is_empty());
        cluster.net().discard(|_| true);
        stage.all_pass();
        if in_time && cluster.state(winner) == Some((term, true)) {
            cluster.reached_check();
            return calm_in_term(&stage, winner, loser, term);
        }
        // One of the candidates began another candidacy before the loser had answered the winner, so try again.
    }
    stage.over();
}

/// Loses what the leader sends, and waits until both other servers are candidates in the same term, one soon after the other.
/// No server hears them. Returns the last candidate, the first candidate and their term. The old leader has no reason to become
/// a candidate, and has voted for neither.
fn same_term(stage: &Stage<'_>, old: usize, others: [usize; 2]) -> Option<(usize, usize, u64)> {
    stage.caption(
        "no server hears the leader; the others become candidates, and no server hears them either",
    );
    let from = Instant::now();
    stage.direct(move |mail| if mail.from == old { Fate::Drop } else { Fate::Hold });
    let asks = |i: usize| {
        move |mail: &Mail| {
            mail.from == i && mail.kind == Kind::Vote && mail.is_call() && mail.at > from
        }
    };
    let first_in_latest_term = |i: usize| {
        let asked = stage.mail(asks(i));
        let term = asked.last()?.term?;
        asked.into_iter().find(|mail| mail.term == Some(term)).map(|mail| (i, term, mail.at))
    };
    let mut found = None;
    stage.until(ms(20_000), || {
        let [Some(a), Some(b)] = others.map(first_in_latest_term) else { return false };
        let (last, first) = if a.2 > b.2 { (a, b) } else { (b, a) };
        let apart = last.2.saturating_duration_since(first.2);
        if last.1 == first.1 && apart < ms(200) && last.2.elapsed() < ms(5) {
            found = Some((last.0, first.0, last.1));
        }
        found.is_some()
    });
    found
}

fn calm_in_term(stage: &Stage<'_>, winner: usize, loser: usize, term: u64) {
    stage.caption("there is a leader of the term, and both others hear it");
    stage.cluster.sleep(3 * ELECTION_TIMEOUT);
    let (now, _) = stage.cluster.state(loser).unwrap_or_default();
    if now != term {
        run::fail(format!(
            "{0} was a candidate in term {term}. Then it heard {1}, the leader of that term, for three seconds. So {0} should \
             still be in term {term}, but its term is {now}. A candidate that hears the leader of its term becomes its follower \
             (Figure 2, Candidates)",
            name(loser),
            name(winner)
        ));
    }
    stage.cluster.check_one_leader();
}

/// Lets servers grant votes that no candidate receives. A server that grants a vote must reset its election timeout (Figure 2,
/// Followers). The test first measures how long the servers' timeouts are at least.
fn granted_vote_resets_election_timer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.caption("no server hears another: how long do servers wait between two candidacies?");
    stage.direct(|_| Fate::Drop);
    cluster.sleep(15 * ELECTION_TIMEOUT);
    let standing = |mail: &Mail| mail.kind == Kind::Vote && mail.is_call() && mail.term.is_some();
    let asked = stage.mail(standing);
    if let Some(shortest) = (0..cluster.n()).flat_map(|i| waits(&asked, i)).min() {
        stage.caption("servers grant votes, but no candidate receives them");
        stage.direct(move |mail| if standing(mail) { Fate::Deliver } else { Fate::Drop });
        let from = Instant::now();
        cluster.sleep(20 * ELECTION_TIMEOUT);
        let mail = stage.mail(|mail| mail.at > from && mail.kind == Kind::Vote);
        voters_wait(cluster, &mail, shortest);
    }
    stage.over();
}

/// Fails if a server became a candidate soon after it had granted a vote. "Soon" means: after less than half of the shortest
/// of about sixty waits. These waits were measured on the same Raft, so it may choose its timeouts from any range.
fn voters_wait(cluster: &Cluster, mail: &[Mail], shortest: Duration) {
    if mail.iter().any(|mail| mail.reply.yes == Some(true)) {
        cluster.reached_check();
    }
    for i in 0..cluster.n() {
        if let Some((granted, stood)) = becomes_candidate_too_soon(mail, i, shortest / 2) {
            run::fail(format!(
                "{0} granted a vote, and only {1:?} later it became a candidate itself. Undisturbed servers wait for at least \
                 {shortest:?}. A follower that grants a vote must reset its election timeout (Figure 2, Followers). Otherwise it \
                 splits the vote",
                name(i),
                stood.saturating_duration_since(granted)
            ));
        }
    }
}

/// The times that a server waited between two candidacies.
fn waits(asked: &[Mail], i: usize) -> Vec<Duration> {
    let mut began: Vec<(Option<u64>, Instant)> = Vec::new();
    for mail in asked.iter().filter(|mail| mail.from == i) {
        if began.last().is_none_or(|(term, _)| *term < mail.term) {
            began.push((mail.term, mail.at));
        }
    }
    began.windows(2).map(|pair| pair[1].1.saturating_duration_since(pair[0].1)).collect()
}

/// The moments at which a server granted a vote and became a candidate less than `least` later. A request for votes in the term
/// of the vote or in an older term doesn't count: it is sent again, and its sender became a candidate before.
fn becomes_candidate_too_soon(
    mail: &[Mail],
    i: usize,
    least: Duration,
) -> Option<(Instant, Instant)> {
    let (mut granted, mut term) = (None, None);
    for mail in mail {
        if mail.to == i && mail.reply.yes == Some(true) {
            granted = Some(mail.at);
            term = term.max(mail.term);
        }
        if mail.from == i && mail.is_call() && mail.term > term {
            term = mail.term;
            if let Some(granted) = granted.take()
                && mail.at.saturating_duration_since(granted) < least
            {
                return Some((granted, mail.at));
            }
        }
    }
    None
}
