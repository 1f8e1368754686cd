//! 2A+, of several candidates: a request of one's own term changes nothing (§5.1), and a candidate asks for votes in the term in
//! which it stands (§5.2).

use crate::cluster::{Cluster, name};
use crate::suites::lab_test::tests;
use crate::suites::worlds::rivals::Rivals;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage, tries};
use crate::suites::worlds::steps::ms;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::thread::Hiccups;
use labrpc::time::{Duration, Instant};

tests! { "2A+", Raft:
    rival_asks_the_leader = "RivalAsksTheLeader", reliable(3);
    rival_asks_the_candidate = "RivalAsksTheCandidate", reliable(3);
    slow_candidates = "SlowCandidates", reliable(5);
}

/// Of two candidates of a term one is elected; then the other one's request comes to it.
fn rival_asks_the_leader(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in tries() {
        let Some(rivals) = Rivals::of(&stage) else { break };
        if rivals.elect(&stage) && asks_and_is_answered(&stage, &rivals) {
            cluster.reached_check();
            still_leads(cluster, &rivals);
            break;
        }
    }
    everybody_again(&stage);
}

fn still_leads(cluster: &Cluster, rivals: &Rivals) {
    let &Rivals { winner, loser, term, .. } = rivals;
    if cluster.state(winner) == Some((term, false)) {
        run::fail(format!(
            "{} led term {term}, {} asked it for its vote of the same term, and now it doesn't lead: {}. Only a higher term makes a \
             leader step down (§5.1); in its own it has voted for itself, and refuses",
            name(winner),
            name(loser),
            cluster.who_thinks_what()
        ));
    }
}

/// Of two candidates of a term one asks the other, which is then given the vote that makes it the leader.
fn rival_asks_the_candidate(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in tries() {
        let Some(rivals) = Rivals::of(&stage) else { break };
        if asks_and_is_answered(&stage, &rivals) && is_given_a_vote(&stage, &rivals) {
            break;
        }
    }
    everybody_again(&stage);
}

/// Whether the vote came in time. Then it must have elected the candidate.
fn is_given_a_vote(stage: &Stage<'_>, rivals: &Rivals) -> bool {
    let &Rivals { winner, loser, voter, term } = rivals;
    if rivals.elect(stage) {
        stage.cluster.reached_check();
        return true;
    }
    let granted = |mail: &Mail| {
        let asked = mail.from == winner && mail.to == voter && mail.kind == Kind::Vote;
        asked && mail.term == Some(term) && mail.reply.yes == Some(true)
    };
    let in_time = stage.mail(granted).iter().any(|mail| mail.at.elapsed() > ms(50));
    if in_time && stage.cluster.state(winner) == Some((term, false)) {
        run::fail(format!(
            "{} stood for election in term {term}, {} asked it for its vote of the same term, then {} voted for it: and it doesn't \
             lead, {}. Only a higher term, or the leader of its own, makes a candidate a follower (§5.1, §5.2)",
            name(winner),
            name(loser),
            name(voter),
            stage.cluster.who_thinks_what()
        ));
    }
    false
}

/// The loser's request for a vote comes to the winner, and is answered.
fn asks_and_is_answered(stage: &Stage<'_>, rivals: &Rivals) -> bool {
    let &Rivals { winner, loser, voter, term } = rivals;
    stage.caption("the one that stood first asks the other for its vote");
    stage.direct(move |mail| match (mail.from, mail.kind) {
        (from, Kind::Vote) if from == loser && mail.to == winner => Fate::Deliver,
        (from, Kind::Vote) if from == winner && mail.is_call() => Fate::Hold,
        (from, _) if from == winner && mail.to == voter => Fate::Deliver,
        _ => Fate::Lose,
    });
    let answered = |mail: &Mail| {
        let asked = mail.from == loser && mail.to == winner && mail.kind == Kind::Vote;
        asked && !mail.is_call() && mail.term == Some(term)
    };
    rivals.asks(stage, loser, winner);
    stage.until(ms(50), || !stage.mail(answered).is_empty())
}

fn everybody_again(stage: &Stage<'_>) {
    stage.cluster.net().discard(|_| true);
    stage.over();
}

/// How long there is election after election.
const ELECTIONS: Duration = Duration::from_secs(20);

/// Threads stop for a while as they begin and where they let go of a lock, and no leader is heard for long: there is one election
/// after the other. Between a candidate's decision to stand and its requests it may have voted for another one, in a later term;
/// whoever asks for votes in that is caught.
fn slow_candidates(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.caption("no leader is heard, and threads are slow");
    stage.direct(|mail| if mail.kind == Kind::Entries { Fate::Lose } else { Fate::Deliver });
    cluster.hiccups(Some(Hiccups { one_in: 2, lasting: ms(1)..ms(400) }));
    cluster.reached_check();
    let began = Instant::now();
    while began.elapsed() < ELECTIONS {
        cluster.sleep(ms(50));
        (0..cluster.n()).for_each(|i| _ = cluster.state(i));
    }
    cluster.hiccups(None);
    everybody_again(&stage);
}
