//! 2A+: elections (§5.2) in clusters of other sizes, with messages that come twice, late or one way only, and by script.

use super::stage::{Kind, Mail, Stage};
use super::storm::{Trouble, storm};
use super::{after, ms, reliable, tests, unreliable};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name};
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
    refused_votes_buy_no_time = "RefusedVotesBuyNoTime", reliable(3);
    granted_votes_buy_time = "GrantedVotesBuyTime", reliable(3);
}

/// A server alone is a majority.
fn one_server(cluster: &Cluster) {
    cluster.check_one_leader();
    let term = cluster.check_terms();
    cluster.sleep(2 * ELECTION_TIMEOUT);
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

/// How long such an election may take.
const LATE_ELECTION: Duration = Duration::from_secs(15);

/// How many terms an election may take, on average, when two thirds of all votes come 200-2200 ms late. Three of five
/// servers need two votes each; a candidate that waits half a second for them, or asks again, needs one or two terms.
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
    let allowed = TERMS_PER_LATE_ELECTION * ELECTIONS;
    if term > allowed {
        run::fail(format!(
            "after {ELECTIONS} lost leaders the term is {term}; at most {allowed} are allowed. Election timeouts that are \
             too short for the network make election after election (§5.6: broadcastTime << electionTimeout)"
        ));
    }
}

/// How long nothing happens but that messages get lost and come late.
const STEADY: Duration = Duration::from_secs(30);

/// How many terms may begin meanwhile. A follower that waits for four heartbeats and more misses them all about never.
const TERMS_WHILE_STEADY: u64 = 10;

/// A tenth of requests and of replies is lost, two thirds of replies are late, and nobody fails: who leads leads on. Where
/// a lost heartbeat or two make a candidate, there is one election after the other (§5.6).
fn steady_leader(cluster: &Cluster) {
    cluster.net().long_reordering(true);
    let (_, before) = leader_from(cluster, 1);
    cluster.sleep(STEADY);
    let terms = (0..cluster.n()).filter_map(|i| cluster.state(i)).map(|(term, _)| term);
    let began = terms.max().unwrap_or(before) - before;
    if began > TERMS_WHILE_STEADY {
        run::fail(format!(
            "{began} terms began in {STEADY:?} in which nobody failed; at most {TERMS_WHILE_STEADY} are allowed. Election \
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
    if !stage.until(ms(20_000), || !stage.mail(granted).is_empty()) {
        return stage.all_pass(); // its votes can't be read
    }
    let old = stage.mail(granted)[0].term;
    stage.caption("S0 stands again; now nobody hears it");
    stage.direct(|_| Fate::Lose);
    stage.until(ms(20_000), || !stage.mail(|mail| to_it(mail) && mail.term > old).is_empty());
    stage.caption("the old votes arrive");
    stage.release(|mail| mail.term == old);
    for _ in 0..20 {
        cluster.sleep(ms(5));
        let _ = cluster.state(candidate); // who leads without votes is caught
    }
    stage.all_pass();
    cluster.check_one_leader();
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
    let (a, b, voter) = (0, 1, 2);
    cluster.crash(voter);
    for _ in 0..20 {
        let Some((winner, loser, term)) = same_term(&stage, a, b) else { break };
        stage.caption("the third server starts, and hears only the one that stood last");
        stage.direct(move |mail| match () {
            () if mail.from == winner && (mail.to == voter || mail.kind != Kind::Vote) => {
                Fate::Deliver
            }
            () => Fate::Lose,
        });
        cluster.start_server(voter);
        cluster.connect(voter);
        stage.release(|mail| mail.from == winner && mail.to == voter && mail.term == term);
        let followed = |mail: &Mail| {
            mail.from == winner
                && mail.to == loser
                && mail.kind == Kind::Entries
                && mail.term == term
        };
        let heard = |mail: &Mail| followed(mail) && mail.reply.term == Some(term);
        let in_time = stage.until(ms(400), || !stage.mail(heard).is_empty());
        if in_time && cluster.state(winner) == Some((term, true)) {
            return calm_in_term(&stage, winner, loser, term);
        }
        cluster.crash(voter); // one of them stood again before that: once more
        cluster.net().discard(|_| true);
    }
    stage.all_pass();
    cluster.start_server(voter);
    cluster.connect(voter);
    cluster.check_one_leader();
}

/// Waits until two servers that nobody hears stand in the same term, one soon after the other: who stood last, who first.
fn same_term(stage: &Stage<'_>, a: usize, b: usize) -> Option<(usize, usize, u64)> {
    stage.caption("two servers stand for election, and nobody hears them");
    stage.direct(|_| Fate::Hold);
    let last =
        |i| stage.mail(|mail| mail.from == i && mail.kind == Kind::Vote && mail.is_call()).pop();
    let mut found = None;
    stage.until(ms(20_000), || {
        let (Some(of_a), Some(of_b)) = (last(a), last(b)) else { return false };
        let first = |i, term| {
            stage.mail(|mail| mail.from == i && mail.term == term && mail.is_call())[0].at
        };
        let (term, at_a, at_b) = (of_a.term, first(a, of_a.term), first(b, of_b.term));
        let apart = at_a.max(at_b).saturating_duration_since(at_a.min(at_b));
        let fresh = at_a.max(at_b).elapsed() < ms(5);
        if term == of_b.term && term > 0 && apart < ms(200) && fresh {
            found = Some(if at_a > at_b { (a, b, term) } else { (b, a, term) });
        }
        found.is_some()
    });
    found
}

fn calm_in_term(stage: &Stage<'_>, winner: usize, loser: usize, term: u64) {
    stage.caption("there is a leader of the term, and both others hear it");
    stage.cluster.net().discard(|_| true);
    stage.all_pass();
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

/// A candidate that gets no votes, for its log is behind, asks again and again. That is no reason for others to
/// wait with their own election (Figure 2, Followers): or they never stand, and there is no leader.
fn refused_votes_buy_no_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let leader = cluster.check_one_leader();
    let [good, behind] = [1, 2].map(|steps| after(cluster, leader, steps));
    cluster.disconnect(behind);
    cluster.one(1, 2, false);
    stage.caption("the leader crashes, and only one server has its entry");
    cluster.crash(leader);
    cluster.connect(behind);
    let asks = move |mail: &Mail| mail.from == behind && mail.kind == Kind::Vote && mail.is_call();
    stage.direct(move |mail| if asks(mail) { Fate::Hold } else { Fate::Deliver });
    stage.until(5 * ELECTION_TIMEOUT, || !stage.mail(asks).is_empty());
    stage.caption("the other one asks for votes ten times a second");
    let began = Instant::now();
    while began.elapsed() < 5 * ELECTION_TIMEOUT {
        if matches!(cluster.state(good), Some((_, true))) {
            cluster.start_server(leader);
            cluster.connect(leader);
            stage.all_pass();
            cluster.check_one_leader();
            return;
        }
        cluster.net().repeat(|_| true);
        cluster.sleep(ms(100));
    }
    run::fail(format!(
        "{} was not elected within {:?}, though it is the only one that can be: {} asks for its vote all the time and gets \
         none. An election timeout is reset only by the current leader, by a vote that is granted, and by one's own \
         candidacy (Figure 2, Rules for Servers)",
        name(good),
        5 * ELECTION_TIMEOUT,
        name(behind)
    ));
}

/// Who has granted a vote waits for the election timeout anew (Figure 2, Followers). How long that is, at least, is
/// measured before.
fn granted_votes_buy_time(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.caption("nobody hears anybody: how long do servers wait between two candidacies?");
    stage.direct(|_| Fate::Lose);
    cluster.sleep(15 * ELECTION_TIMEOUT);
    let standing = |mail: &Mail| mail.kind == Kind::Vote && mail.is_call() && mail.term > 0;
    let asked = stage.mail(standing);
    let Some(shortest) = (0..cluster.n()).flat_map(|i| waits(&asked, i)).min() else {
        return stage.all_pass(); // candidacies can't be read
    };
    stage.caption("votes are granted, but no candidate hears of them");
    stage.direct(move |mail| if standing(mail) { Fate::Deliver } else { Fate::Lose });
    let from = Instant::now();
    cluster.sleep(20 * ELECTION_TIMEOUT);
    let mail = stage.mail(|mail| mail.at > from && mail.kind == Kind::Vote);
    for i in 0..cluster.n() {
        if let Some((granted, stood)) = stands_too_soon(&mail, i, shortest / 2) {
            run::fail(format!(
                "{} granted a vote and stood for election itself {:?} later; undisturbed it waits for {shortest:?} at \
                 least. A follower that grants a vote waits for the election timeout anew (Figure 2, Followers), or it \
                 splits the vote",
                name(i),
                stood.saturating_duration_since(granted)
            ));
        }
    }
    stage.all_pass();
    cluster.check_one_leader();
}

/// How long a server waited between two candidacies.
fn waits(asked: &[Mail], i: usize) -> Vec<Duration> {
    let mut began: Vec<(u64, Instant)> = Vec::new();
    for mail in asked.iter().filter(|mail| mail.from == i) {
        if began.last().is_none_or(|(term, _)| *term < mail.term) {
            began.push((mail.term, mail.at));
        }
    }
    began.windows(2).map(|pair| pair[1].1.saturating_duration_since(pair[0].1)).collect()
}

/// Where a server stood for election less than `least` after it had granted a vote.
fn stands_too_soon(mail: &[Mail], i: usize, least: Duration) -> Option<(Instant, Instant)> {
    let (mut granted, mut term) = (None, 0);
    for mail in mail {
        if mail.to == i && mail.reply.yes == Some(true) {
            granted = Some(mail.at);
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
