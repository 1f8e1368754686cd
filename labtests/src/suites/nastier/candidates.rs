//! 2A+, about several candidates: a request of a server's own term does not change its role (§5.1), and a candidate asks for
//! votes in the term of its candidacy (§5.2).

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
    leader_refuses_vote_to_rival = "RivalAsksTheLeader", reliable(3);
    candidate_refuses_vote_to_rival = "RivalAsksTheCandidate", reliable(3);
    elections_with_paused_threads = "SlowCandidates", reliable(5);
}

/// Lets one of two candidates of a term be elected, and then delivers the other candidate's request for a vote to it. It must
/// stay the leader, because the request has no higher term (§5.1).
fn leader_refuses_vote_to_rival(cluster: &Cluster) {
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
            "{0} led term {term}. Then {1} asked {0} for its vote in the same term, and now {0} doesn't lead: {2}. Only a higher \
             term makes a leader step down (§5.1). In its own term a leader has voted for itself, so it must refuse its vote to \
             others",
            name(winner),
            name(loser),
            cluster.who_thinks_what()
        ));
    }
}

/// Lets one of two candidates of a term ask the other for its vote, and then gives the other candidate the vote that makes a
/// majority. It must still be a candidate, and so become the leader (§5.1, §5.2).
fn candidate_refuses_vote_to_rival(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    for _ in tries() {
        let Some(rivals) = Rivals::of(&stage) else { break };
        if asks_and_is_answered(&stage, &rivals) && is_given_a_vote(&stage, &rivals) {
            break;
        }
    }
    everybody_again(&stage);
}

/// Returns whether the candidate was elected. Fails if its vote came in time and did not elect it.
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
            "{0} was a candidate in term {term}, and {1} asked {0} for its vote in the same term. Then {2} voted for {0}. So {0} \
             should lead, but it doesn't: {3}. Only a higher term, or the leader of its own term, makes a candidate a follower \
             (§5.1, §5.2)",
            name(winner),
            name(loser),
            name(voter),
            stage.cluster.who_thinks_what()
        ));
    }
    false
}

/// Delivers the loser's request for a vote to the winner. Returns whether the winner answers it.
fn asks_and_is_answered(stage: &Stage<'_>, rivals: &Rivals) -> bool {
    let &Rivals { winner, loser, voter, term } = rivals;
    stage.caption("the first candidate asks the last candidate for its vote");
    stage.direct(move |mail| match (mail.from, mail.kind) {
        (from, Kind::Vote) if from == loser && mail.to == winner => Fate::Deliver,
        (from, Kind::Vote) if from == winner && mail.is_call() => Fate::Hold,
        (from, _) if from == winner && mail.to == voter => Fate::Deliver,
        _ => Fate::Drop,
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

/// How long the elections go on.
const ELECTIONS: Duration = Duration::from_secs(20);

/// Makes threads stop for a while when they begin and when they release a lock, and loses all AppendEntries, so that there is
/// one election after the other. Between becoming a candidate and sending its requests, a server may have voted for another
/// candidate in a later term. It must not ask for votes in that later term (§5.2).
fn elections_with_paused_threads(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    stage.caption("no server hears a leader, and threads are slow");
    stage.direct(|mail| if mail.kind == Kind::Entries { Fate::Drop } else { Fate::Deliver });
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
