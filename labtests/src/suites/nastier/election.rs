//! 2A+: elections (§5.2) in clusters of other sizes, with messages that come twice, late or one way only, and by script.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{reliable, unreliable};
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, ms};
use crate::suites::worlds::storm::{Trouble, storm};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2A+", Raft:
    one_server = "OneServer", reliable(1);
    two_servers = "TwoServers", reliable(2);
    four_servers = "FourServers", reliable(4);
    doubled_votes = "DoubledVotes", reliable(5);
    one_way_cuts = "OneWayCuts", reliable(5);
    late_votes = "LateVotes", reliable(5);
    steady_leader = "SteadyLeader", unreliable(5);
    votes_of_an_old_candidacy = "VotesOfAnOldCandidacy", reliable(3);
    deaf_leader = "DeafLeader", reliable(3);
    leader_of_the_same_term = "LeaderOfTheSameTerm", reliable(3);
    granted_votes_buy_time = "GrantedVotesBuyTime", reliable(3);
}

/// A server alone is a majority.
fn one_server(cluster: &Cluster) {
    cluster.check_one_leader();
    let term = cluster.check_terms();
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.reached_check();
    if cluster.check_terms() != term {
        run::fail("a server alone stood for election again, though it led");
    }
    cluster.check_one_leader();
}

/// Of two servers, one is no majority.
fn two_servers(cluster: &Cluster) {
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

/// Of four servers, two are no majority: floor(n/2) is not enough, and neither is ceil(n/2).
fn four_servers(cluster: &Cluster) {
    for _ in 0..3 {
        let leader = cluster.check_one_leader();
        let next = after(cluster, leader, 1);
        cluster.disconnect(leader);
        cluster.check_one_leader();
        cluster.disconnect(next);
        cluster.sleep(2 * ELECTION_TIMEOUT);
        let rest = [2, 3].map(|steps| after(cluster, leader, steps));
        if rest.iter().any(|&i| matches!(cluster.state(i), Some((_, true)))) {
            // It may have been elected while there were three, and then leads on; but only one.
            cluster.check_one_leader();
        }
        cluster.connect(leader);
        cluster.check_one_leader();
        cluster.connect(next);
    }
    cluster.reached_check();
    cluster.check_one_leader();
}

/// Requests for votes come twice, the second time in a later term perhaps; servers are cut off one after the other.
fn doubled_votes(cluster: &Cluster) {
    storm(cluster, &[Trouble::Duplicates, Trouble::Reordering, Trouble::Partitions], false);
}

/// Links that work one way only.
fn one_way_cuts(cluster: &Cluster) {
    storm(cluster, &[Trouble::OneWayCuts, Trouble::SlowLinks], false);
}

/// How long such an election may take: timeouts of up to 1.5 s fit in twenty times, and it needs one or two, three with short ones.
const LATE_ELECTION: Duration = Duration::from_secs(30);

/// How many terms an election should take, on average, when two thirds of all votes come 200-2200 ms late. Three of five
/// servers need two votes each; a candidate that waits half a second for them, or asks again, needs one or two terms. With
/// timeouts of 300-400 ms it is about three, and that breaks no rule: so more are a warning.
const TERMS_PER_LATE_ELECTION: u64 = 3;

/// Votes that come late, past several elections. With timeouts that are too short for the network there are
/// elections without end: "broadcastTime << electionTimeout" (§5.6).
fn late_votes(cluster: &Cluster) {
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
            "after {ELECTIONS} lost leaders the term is {term}, and should be {allowed} or less. Election timeouts that are \
             too short for the network make election after election (§5.6: broadcastTime << electionTimeout)"
        ));
    }
}

/// How long nothing happens but that messages get lost and come late.
const STEADY: Duration = Duration::from_secs(30);

/// How many terms should begin meanwhile. A follower that waits for four heartbeats and more misses them all about never. One that waits
/// for two misses them often (timeouts of 300-400 ms, heartbeats of 130 ms: 18 terms), and breaks no rule: so more are a warning.
const TERMS_WHILE_STEADY: u64 = 10;

/// A tenth of requests and of replies is lost, two thirds of replies are late, and nobody fails: who leads leads on. Where
/// a lost heartbeat or two make a candidate, there is one election after the other (§5.6).
fn steady_leader(cluster: &Cluster) {
    cluster.net().long_reordering(true);
    let (_, before) = leader_from(cluster, 1);
    cluster.sleep(STEADY);
    let terms = (0..cluster.n()).filter_map(|i| cluster.state(i)).map(|(term, _)| term);
    let began = terms.max().unwrap_or(before) - before;
    cluster.reached_check();
    if began > TERMS_WHILE_STEADY {
        cluster.advise(format!(
            "{began} terms began in {STEADY:?} in which nobody failed, and should be {TERMS_WHILE_STEADY} or less. Election \
             timeouts are to outlast some lost heartbeats (§5.6: broadcastTime << electionTimeout)"
        ));
    }
}

/// Waits for a connected leader of this term or a later one.
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
        "no leader of term {term} or later for {LATE_ELECTION:?}: {}",
        cluster.who_thinks_what()
    ))
}

/// Votes that were granted in one candidacy arrive in the next one, where they count for nothing.
fn votes_of_an_old_candidacy(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let candidate = 0;
    stage.caption("S0 stands for election; the votes that it gets are on their way for long");
    let to_it = move |mail: &Mail| mail.from == candidate && mail.kind == Kind::Vote;
    let granted = move |mail: &Mail| to_it(mail) && mail.reply.yes == Some(true);
    stage.direct(move |mail| match () {
        () if granted(mail) => Fate::Hold,
        () if to_it(mail) => Fate::Deliver,
        () => Fate::Lose,
    });
    stage.until(ms(20_000), || !stage.mail(granted).is_empty());
    if let Some(old) = stage.mail(granted).first().and_then(|mail| mail.term) {
        stage.caption("S0 stands again; now nobody hears it");
        stage.direct(|_| Fate::Lose);
        let again = |mail: &Mail| to_it(mail) && mail.term > Some(old);
        let stands = stage.until(ms(20_000), || !stage.mail(again).is_empty());
        stage.caption("the old votes arrive");
        if stage.release(|mail| mail.term == Some(old)) > 0 && stands {
            cluster.reached_check();
        }
        for _ in 0..20 {
            cluster.sleep(ms(5));
            let _ = cluster.state(candidate); // who leads without votes is caught
        }
    }
    stage.over();
}

/// A leader that can speak and not hear, but for the replies that it gets: they tell it of a newer term (§5.1).
fn deaf_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let old = cluster.check_one_leader();
    let [next, other] = [1, 2].map(|steps| after(cluster, old, steps));
    stage.caption("another leader is elected; the old one hears nothing of it");
    let term = stage.elect(next, &[other]);
    stage.caption("the old leader's calls come through, and are answered");
    stage.direct(move |mail| if mail.to == old { Fate::Lose } else { Fate::Deliver });
    cluster.reached_check();
    let stepped_down = || cluster.state(old).is_none_or(|(t, leads)| t >= term && !leads);
    if !stage.until(2 * ELECTION_TIMEOUT, stepped_down) {
        run::fail(format!(
            "{} leads on, though for {:?} its calls were answered with a newer term. \"If RPC request or response contains \
             term T > currentTerm: set currentTerm = T, convert to follower\" (§5.1); {}",
            name(old),
            2 * ELECTION_TIMEOUT,
            cluster.who_thinks_what()
        ));
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// Two candidates of one term: when one of them is elected, the other follows it (Rules for Servers, Candidates).
fn leader_of_the_same_term(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in 0..20 {
        let voter = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| after(cluster, voter, steps));
        stage.settle();
        let Some((winner, loser, term)) = same_term(&stage, voter, [a, b]) else { break };
        stage.caption("the old leader hears only the one that stood last, and votes for it; the other one hears who leads");
        stage.direct(move |mail| match () {
            () if mail.from == winner && (mail.to == voter || mail.kind == Kind::Entries) => {
                Fate::Deliver
            }
            () => Fate::Lose,
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
        // One of them stood again before that: once more.
    }
    stage.over();
}

/// The leader isn't heard any more. Waits until both others stand in the same term, one soon after the other, and nobody hears
/// them: who stood last, who first. The old leader, which has no reason to stand, has voted for neither.
fn same_term(stage: &Stage<'_>, old: usize, others: [usize; 2]) -> Option<(usize, usize, u64)> {
    stage.caption("the leader isn't heard; the others stand for election, and nobody hears them");
    let from = Instant::now();
    stage.direct(move |mail| if mail.from == old { Fate::Lose } else { Fate::Hold });
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
            "{} stood for election in term {term}, heard from {}, the leader of that term, for three seconds, and yet the \
             term is {now}. A candidate that hears from the leader of its term follows it (Figure 2, Candidates)",
            name(loser),
            name(winner)
        ));
    }
    stage.cluster.check_one_leader();
}

/// Who has granted a vote waits for the election timeout anew (Figure 2, Followers). How long that is, at least, is
/// measured before.
fn granted_votes_buy_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.caption("nobody hears anybody: how long do servers wait between two candidacies?");
    stage.direct(|_| Fate::Lose);
    cluster.sleep(15 * ELECTION_TIMEOUT);
    let standing = |mail: &Mail| mail.kind == Kind::Vote && mail.is_call() && mail.term.is_some();
    let asked = stage.mail(standing);
    if let Some(shortest) = (0..cluster.n()).flat_map(|i| waits(&asked, i)).min() {
        stage.caption("votes are granted, but no candidate hears of them");
        stage.direct(move |mail| if standing(mail) { Fate::Deliver } else { Fate::Lose });
        let from = Instant::now();
        cluster.sleep(20 * ELECTION_TIMEOUT);
        let mail = stage.mail(|mail| mail.at > from && mail.kind == Kind::Vote);
        voters_wait(cluster, &mail, shortest);
    }
    stage.over();
}

/// Nobody stands for election soon after it has granted a vote. "Soon" is half of the shortest of some sixty waits, so a timeout may be drawn
/// from any range.
fn voters_wait(cluster: &Cluster, mail: &[Mail], shortest: Duration) {
    if mail.iter().any(|mail| mail.reply.yes == Some(true)) {
        cluster.reached_check();
    }
    for i in 0..cluster.n() {
        if let Some((granted, stood)) = stands_too_soon(mail, i, shortest / 2) {
            run::fail(format!(
                "{} granted a vote and stood for election itself {:?} later; undisturbed it waits for {shortest:?} at \
                 least. A follower that grants a vote waits for the election timeout anew (Figure 2, Followers), or it \
                 splits the vote",
                name(i),
                stood.saturating_duration_since(granted)
            ));
        }
    }
}

/// How long a server waited between two candidacies.
fn waits(asked: &[Mail], i: usize) -> Vec<Duration> {
    let mut began: Vec<(Option<u64>, Instant)> = Vec::new();
    for mail in asked.iter().filter(|mail| mail.from == i) {
        if began.last().is_none_or(|(term, _)| *term < mail.term) {
            began.push((mail.term, mail.at));
        }
    }
    began.windows(2).map(|pair| pair[1].1.saturating_duration_since(pair[0].1)).collect()
}

/// Where a server stood for election less than `least` after it had granted a vote. A request for votes of
/// that term, or an older one, is sent again: its sender stood before.
fn stands_too_soon(mail: &[Mail], i: usize, least: Duration) -> Option<(Instant, Instant)> {
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
