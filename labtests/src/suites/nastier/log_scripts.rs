//! 2B+, in scripts: replies that arrive late, in reverse order or in another term, and logs that differ at awkward places.

use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::{after, agree, agree_on_long, ms, random};
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2B+", Raft:
    acknowledgements_of_earlier_leadership_do_not_count = "OldAcknowledgements", reliable(5);
    refusals_of_earlier_leadership_do_not_count = "OldRefusals", reliable(5);
    reordered_acknowledgements_do_not_lower_match_index = "AcknowledgementsInReverse", reliable(3);
    late_refusal_does_not_lower_next_index = "RefusalsInReverse", reliable(3);
    conflict_hint_is_not_a_match = "ConflictBeforeTheHint", reliable(5);
    repair_sends_only_what_differs = "RepairSendsWhatDiffers", reliable(3);
    refused_vote_does_not_reset_election_timer = "RefusedVotesBuyNoTime", reliable(3);
    refused_vote_is_not_asked_again = "RefusalsAreAnswers", reliable(3);
}

/// Delays S1's acknowledgement of entries of S0. Another leader replaces these entries, and S0 leads again with other entries
/// at the same indices. The old acknowledgement arrives then, and must not count for the new entries (§5.3).
fn acknowledgements_of_earlier_leadership_do_not_count(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    cluster.one(random(cluster), 5, true);
    stage.caption(
        "S0 leads and sends three entries to S1 alone, whose acknowledgement is held back",
    );
    let term = stage.elect(s0, &[s1, s2, s3, s4]);
    stage.settle();
    let from_s0_to_s1 = move |mail: &Mail| mail.from == s0 && mail.to == s1;
    stage.direct(move |mail| match () {
        () if !from_s0_to_s1(mail) => Fate::Drop,
        () if mail.is_call() => Fate::Deliver,
        () => Fate::Hold,
    });
    (0..3).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    let held = stage.has_all_of(s1, s0);
    stage.caption("S4 is elected; one entry of S4 replaces the three entries");
    stage.elect(s4, &[s2, s3]);
    stage.direct(move |mail| if mail.from == s4 { Fate::Deliver } else { Fate::Drop });
    let _ = cluster.start(s4, &command(random(cluster)));
    let replaced = [s0, s1, s2, s3].iter().all(|&i| stage.has_all_of(i, s4));
    stage.caption("S0 leads again, and sends four new entries to S2 alone");
    stage.elect(s0, &[s2, s3, s4]);
    stage.direct(move |mail| match () {
        () if mail.from == s0 && mail.to == s2 => Fate::Deliver,
        () => Fate::Drop,
    });
    (0..4).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    let anew = stage.has_all_of(s2, s0);
    stage.caption("S1's acknowledgement of the old term arrives");
    let old = stage.release(|mail| mail.term == Some(term));
    cluster.sleep(ms(300)); // a leader that counts it is caught
    if held && replaced && anew && old > 0 {
        cluster.reached_check();
    }
    stage.all_pass();
    cluster.one(random(cluster), 5, true);
}

/// Delays S1's refusal of a heartbeat of S0. S1 refused because of the term, and its reply may say how long its log was. When
/// the refusal arrives, S0 leads again in a later term. The refusal must not tell S0 anything about where the logs agree
/// (§5.3).
fn refusals_of_earlier_leadership_do_not_count(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    cluster.one(random(cluster), 5, true);
    stage.caption(
        "S1 is elected, and S0 doesn't know it; S1 gets four entries that no other server has",
    );
    stage.elect(s0, &[s1, s2, s3, s4]);
    stage.settle();
    stage.elect_unfollowed(s1, &[s2, s3, s4], &[s2, s3, s4]);
    stage.direct(|_| Fate::Drop);
    (0..4).for_each(|_| _ = cluster.start(s1, &command(random(cluster))));
    stage.caption("S1 refuses S0's heartbeat; S1's answer is held back");
    let heartbeat = move |mail: &Mail| mail.from == s0 && mail.to == s1;
    stage.direct(move |mail| match () {
        () if !heartbeat(mail) => Fate::Drop,
        () if mail.is_call() => Fate::Deliver,
        () => Fate::Hold,
    });
    stage.until(ELECTION_TIMEOUT, || !cluster.net().held().is_empty());
    stage.caption("S0 leads again, with the votes of the others; S1's answer arrives");
    stage.elect(s0, &[s2, s3, s4]);
    if stage.release(|_| true) > 0 {
        cluster.reached_check();
    }
    cluster.sleep(ms(300));
    stage.all_pass();
    cluster.one(random(cluster), 5, true);
}

/// Delivers acknowledgements in reverse order. "matchIndex [..] increases monotonically" (Figure 2), so the leader should not
/// send a server again what that server has acknowledged.
fn reordered_acknowledgements_do_not_lower_match_index(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [leader, s1, s2] = [0, 1, 2];
    stage.elect(leader, &[s1, s2]);
    cluster.one(random(cluster), 3, true);
    stage.caption("every acknowledgement but the last is held back");
    let acknowledges = |mail: &Mail| mail.kind == Kind::Entries && !mail.is_call();
    stage.direct(move |mail| if acknowledges(mail) { Fate::Hold } else { Fate::Deliver });
    let from = Instant::now();
    for _ in 0..10 {
        let _ = cluster.start(leader, &command(random(cluster)));
        cluster.sleep(ms(20));
    }
    let have = [s1, s2].iter().all(|&i| stage.has_all_of(i, leader));
    let held = stage.mail(|mail| acknowledges(mail) && mail.at > from);
    let ends = held.iter().filter_map(|mail| mail.last);
    if let Some((first, last)) = ends.clone().min().zip(ends.max()).filter(|_| have) {
        stage.direct(|_| Fate::Deliver);
        stage.release(|mail| mail.last.is_some_and(|index| index >= last));
        cluster.sleep(ms(300));
        stage.caption("the acknowledgements that were held arrive, the oldest last");
        let from = Instant::now();
        for index in (first..=last).rev() {
            stage.release(|mail| mail.last == Some(index));
            cluster.sleep(ms(5));
        }
        stage.release(|_| true);
        cluster.reached_check();
        stage.nothing_again(leader, from);
    }
    stage.all_pass();
    cluster.one(random(cluster), 3, true);
}

/// Delays the second of two refusals of S2 until S2 has got everything that it lacked. Then the leader should not send these
/// entries again (Figure 2: matchIndex "increases monotonically").
fn late_refusal_does_not_lower_next_index(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    cluster.one(random(cluster), 3, true);
    cluster.disconnect(s2);
    agree(cluster, 3, 2);
    stage.caption("S1 is elected, and doesn't know that S2 lacks three entries; S2 refuses S1's AppendEntries");
    stage.elect(s1, &[s0]);
    let refuses = move |mail: &Mail| mail.to == s2 && mail.reply.yes == Some(false);
    stage.direct(move |mail| match () {
        () if refuses(mail) => Fate::Hold,
        () if mail.from == s1 => Fate::Deliver,
        () => Fate::Drop,
    });
    cluster.connect(s2);
    let twice = stage.until(ms(700), || stage.mail(refuses).len() >= 2);
    stage.caption("the first refusal arrives, and S2 gets the entries");
    stage.direct(move |mail| if mail.from == s1 { Fate::Deliver } else { Fate::Drop });
    let first = stage.mail(refuses).first().map(|mail| mail.call);
    stage.release(|mail| Some(mail.call) == first);
    if stage.has_all_of(s2, s1) && twice {
        cluster.sleep(ms(300));
        stage.caption("the second refusal arrives");
        let from = Instant::now();
        stage.release(|_| true);
        cluster.reached_check();
        stage.nothing_again(s1, from);
    }
    stage.all_pass();
    cluster.one(random(cluster), 3, true);
}

/// Lets S0 repair the log of S4, which is shorter than S0's log and has a conflicting last entry. The index that S4's refusal
/// names is only the leader's next guess. S0 must not take it as matchIndex (§5.3).
fn conflict_hint_is_not_a_match(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    cluster.one(random(cluster), 5, true);
    stage.elect(s0, &[s1, s2, s3, s4]);
    stage.settle();
    stage.caption("S0 leads and gets four entries that no other server has");
    stage.direct(|_| Fate::Drop);
    (0..4).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    stage.caption("S4 leads and gets one entry that no other server has");
    stage.elect_unfollowed(s4, &[s1, s2, s3], &[s1, s2, s3]);
    stage.direct(|_| Fate::Drop);
    let taken = cluster.start(s4, &command(random(cluster))).is_ok();
    stage.caption("S0 leads again, and repairs S4's log");
    stage.elect(s0, &[s1, s2, s3]);
    if taken {
        cluster.reached_check();
    }
    stage.all_pass();
    cluster.one(random(cluster), 5, true);
}

/// Gives all servers the same long log. Then S0 alone gets two more entries, of a term in which no other server has entries. To
/// repair S0's log, the leader should send only what comes after the last entry where the logs agree, and not the whole log
/// (§5.3).
fn repair_sends_only_what_differs(cluster: &Cluster) {
    const COMMANDS: usize = 60;
    const BYTES: usize = 1000;
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    agree_on_long(cluster, COMMANDS, BYTES, 3);
    stage.caption("S0 is elected again, and gets two entries that no other server has");
    stage.elect(s0, &[s1, s2]);
    stage.settle();
    stage.direct(|_| Fate::Drop);
    let take = |_: &usize| cluster.start(s0, &command(random(cluster))).is_ok();
    let taken = (0..2).filter(take).count();
    stage.caption("S1 is elected, and gets other entries at the same indices");
    stage.elect(s1, &[s2]);
    agree(cluster, 3, 2);
    stage.caption("S0's log is repaired");
    let before = cluster.net().total_bytes();
    stage.all_pass();
    agree(cluster, 1, 3);
    if taken == 2 {
        cluster.reached_check();
    }
    let (sent, log) = (cluster.net().total_bytes() - before, (COMMANDS * BYTES) as u64);
    if sent > log / 2 {
        run::fail(format!(
            "the servers sent {sent} bytes to repair a log of {log} bytes. Only its last two entries had to be replaced, and no \
             other entry is of their term. The leader finds \"the latest log entry where the two logs agree\" and sends what \
             comes after it (§5.3)"
        ));
    }
}

/// How long a server may take to become the leader, if no other server can be elected. With timeouts of up to 1.5 s, and votes
/// that are split half of the time, that is enough for six candidacies or more.
const ELECTED_WITHIN: Duration = ELECTION_TIMEOUT.saturating_mul(10);

/// Lets a candidate with an old log ask for votes again and again. A refused request must not reset the election timeout of the
/// server that refuses (Figure 2, Followers), because otherwise that server never becomes a candidate, and there is no leader.
fn refused_vote_does_not_reset_election_timer(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let leader = cluster.check_one_leader();
    let [good, behind] = [1, 2].map(|steps| after(cluster, leader, steps));
    cluster.disconnect(behind);
    cluster.one(1, 2, false);
    stage.caption("the leader is cut off, and only one connected server has the last entry");
    cluster.disconnect(leader);
    cluster.connect(behind);
    let asks = move |mail: &Mail| mail.from == behind && mail.kind == Kind::Vote && mail.is_call();
    stage.direct(move |mail| if asks(mail) { Fate::Hold } else { Fate::Deliver });
    stage.until(5 * ELECTION_TIMEOUT, || !stage.mail(asks).is_empty());
    stage.caption("the server that lacks the entry asks for votes ten times a second");
    let began = Instant::now();
    while began.elapsed() < ELECTED_WITHIN {
        if matches!(cluster.state(good), Some((_, true))) {
            cluster.connect(leader);
            return stage.over();
        }
        if cluster.net().repeat(|_| true) > 0 {
            cluster.reached_check();
        }
        cluster.sleep(ms(100));
    }
    run::fail(format!(
        "{0} is the only server that can be elected, but it was not elected within {ELECTED_WITHIN:?}. {1} asks {0} for its vote \
         all the time, and {0} refuses. A server resets its election timeout only when it hears from the current leader, when it \
         grants a vote, and when it becomes a candidate (Figure 2, Rules for Servers)",
        name(good),
        name(behind)
    ));
}

/// How often per second a candidate may ask a server that answers for its vote, on average. Once per term is enough. This limit is
/// twice as high as the ten times per second that are normal if a server does not answer.
const ASKS_A_SECOND: u64 = 20;

/// Lets a candidate with an old log ask for votes. A refusal is an answer for the whole term (§5.4.1), so the candidate must
/// not ask the same server again and again in that term (§5.5).
fn refused_vote_is_not_asked_again(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let leader = cluster.check_one_leader();
    let [good, behind] = [1, 2].map(|steps| after(cluster, leader, steps));
    cluster.disconnect(behind);
    cluster.one(1, 2, false);
    stage.caption("the leader is cut off, and no server hears the candidate that can be elected");
    cluster.disconnect(leader);
    cluster.connect(behind);
    let asks = move |mail: &Mail| mail.from == behind && mail.kind == Kind::Vote && mail.is_call();
    stage.direct(move |mail| if mail.from == behind { Fate::Deliver } else { Fate::Drop });
    let (before, began) = (stage.mail(asks).len(), Instant::now());
    cluster.sleep(5 * ELECTION_TIMEOUT);
    let asked = (stage.mail(asks).len() - before) as u64;
    if asked > 0 {
        cluster.reached_check();
    }
    let allowed = ASKS_A_SECOND * (began.elapsed().as_secs() + 1) * 2;
    if asked > allowed {
        run::fail(format!(
            "{0} asked for votes {asked} times in {1:?}. At most {allowed} times are allowed. {2} has refused its vote, because \
             {2}'s own log is more up-to-date (§5.4.1). A refusal holds for the whole term. Only a candidate that gets no answer \
             asks again (§5.5)",
            name(behind),
            began.elapsed(),
            name(good)
        ));
    }
    cluster.connect(leader);
    stage.over();
}
