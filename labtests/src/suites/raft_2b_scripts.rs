//! 2B+, by script: replies that arrive late, in reverse, or in another term, and logs that differ at awkward places.

use super::stage::{Kind, Mail, Stage};
use super::{agree, ms, random, reliable, tests};
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::Cluster;
use crate::ledger::command;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::Instant;

tests! { "2B+", Raft:
    old_acknowledgements = "OldAcknowledgements", reliable(5);
    old_refusals = "OldRefusals", reliable(5);
    acknowledgements_in_reverse = "AcknowledgementsInReverse", reliable(3);
    refusals_in_reverse = "RefusalsInReverse", reliable(3);
    conflict_before_the_hint = "ConflictBeforeTheHint", reliable(5);
    repair_sends_what_differs = "RepairSendsWhatDiffers", reliable(3);
}

/// S0 leads, and its followers' acknowledgements are on their way for long. It loses its entries to another leader,
/// leads again, and has others at the same indexes: what arrives now says nothing of these.
fn old_acknowledgements(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    let base = cluster.one(random(cluster), 5, true);
    stage.caption(
        "S0 leads and gives three entries to S1 alone, whose acknowledgement is held back",
    );
    let term = stage.elect(s0, &[s1, s2, s3, s4]);
    let from_s0_to_s1 = move |mail: &Mail| mail.from == s0 && mail.to == s1;
    stage.direct(move |mail| match () {
        () if !from_s0_to_s1(mail) => Fate::Lose,
        () if mail.is_call() => Fate::Deliver,
        () => Fate::Hold,
    });
    (0..3).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    stage.has(s1, base + 3);
    stage.caption("S4 is elected; one entry of its own replaces the three");
    stage.elect(s4, &[s2, s3]);
    stage.direct(move |mail| if mail.from == s4 { Fate::Deliver } else { Fate::Lose });
    let mut index = base;
    if let Ok(started) = cluster.start(s4, &command(random(cluster))) {
        index = started.index;
        [s0, s1, s2, s3].iter().for_each(|&i| stage.has_of_term(i, started.index, started.term));
    }
    stage.caption("S0 leads again, and gives four new entries to S2 alone");
    stage.elect(s0, &[s2, s3, s4]);
    stage.direct(move |mail| match () {
        () if mail.from == s0 && mail.to == s2 => Fate::Deliver,
        () => Fate::Lose,
    });
    (0..4).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    stage.has(s2, index + 4);
    stage.caption("S1's acknowledgement of the old term arrives");
    stage.release(|mail| mail.term == term);
    cluster.sleep(ms(300)); // who counts it is caught
    stage.all_pass();
    cluster.one(random(cluster), 5, true);
}

/// S0 is told, long after, that S1 refused a heartbeat because of its term, and how long S1's log was then. S0 leads
/// again by now, in a later term, and that says nothing of where their logs agree.
fn old_refusals(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    cluster.one(random(cluster), 5, true);
    stage.caption("S1 is elected, and S0 doesn't know; S1 gets four entries that nobody else has");
    stage.elect(s0, &[s1, s2, s3, s4]);
    stage.elect(s1, &[s2, s3, s4]);
    stage.direct(|_| Fate::Lose);
    (0..4).for_each(|_| _ = cluster.start(s1, &command(random(cluster))));
    stage.caption("S1 refuses S0's heartbeat; its answer is on the way for long, and S1 crashes");
    let heartbeat = move |mail: &Mail| mail.from == s0 && mail.to == s1;
    stage.direct(move |mail| match () {
        () if !heartbeat(mail) => Fate::Lose,
        () if mail.is_call() => Fate::Deliver,
        () => Fate::Hold,
    });
    stage.until(ELECTION_TIMEOUT, || !cluster.net().held().is_empty());
    cluster.crash(s1);
    stage.caption("S0 leads again, with the others' votes; the answer arrives");
    stage.elect(s0, &[s2, s3, s4]);
    stage.release(|_| true);
    cluster.sleep(ms(300));
    stage.all_pass();
    cluster.start_server(s1);
    cluster.connect(s1);
    cluster.one(random(cluster), 5, true);
}

/// Acknowledgements arrive in reverse. "matchIndex [..] increases monotonically" (Figure 2): what a server has
/// acknowledged isn't sent to it again.
fn acknowledgements_in_reverse(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [leader, s1, s2] = [0, 1, 2];
    stage.elect(leader, &[s1, s2]);
    cluster.one(random(cluster), 3, true);
    stage.caption("every acknowledgement but the last is held back");
    stage.direct(|mail| {
        if mail.kind == Kind::Entries && !mail.is_call() { Fate::Hold } else { Fate::Deliver }
    });
    let mut last = 0;
    for _ in 0..10 {
        let Ok(started) = cluster.start(leader, &command(random(cluster))) else {
            return stage.all_pass(); // it leads no more
        };
        last = started.index;
        cluster.sleep(ms(20));
    }
    [s1, s2].iter().for_each(|&i| stage.has(i, last));
    stage.direct(|_| Fate::Deliver);
    stage.release(|mail| mail.last.is_some_and(|index| index >= last));
    cluster.sleep(ms(300));
    stage.caption("and now they arrive, the oldest last");
    let from = Instant::now();
    for index in (0..=last).rev() {
        stage.release(|mail| mail.last == Some(index));
        cluster.sleep(ms(5));
    }
    stage.release(|_| true);
    stage.nothing_again(leader, from, last);
    cluster.one(random(cluster), 3, true);
}

/// S2 refuses two heartbeats, and the second refusal comes when S2 has long got what it lacked.
fn refusals_in_reverse(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    cluster.one(random(cluster), 3, true);
    cluster.disconnect(s2);
    let last = agree(cluster, 3, 2);
    stage.caption("S1 is elected, and knows nothing of S2, which lacks three entries and refuses to follow the last");
    stage.elect(s1, &[s0]);
    let refuses = move |mail: &Mail| mail.to == s2 && mail.reply.yes == Some(false);
    stage.direct(move |mail| match () {
        () if refuses(mail) => Fate::Hold,
        () if mail.from == s1 => Fate::Deliver,
        () => Fate::Lose,
    });
    cluster.connect(s2);
    stage.until(ms(700), || stage.mail(refuses).len() >= 2);
    stage.caption("the first refusal arrives, and S2 gets them");
    stage.direct(move |mail| if mail.from == s1 { Fate::Deliver } else { Fate::Lose });
    let first = stage.mail(refuses).first().map(|mail| mail.call);
    stage.release(|mail| Some(mail.call) == first);
    stage.has(s2, last);
    cluster.sleep(ms(300));
    stage.caption("the second refusal arrives");
    let from = Instant::now();
    stage.release(|_| true);
    stage.nothing_again(s1, from, last);
    stage.all_pass();
    cluster.one(random(cluster), 3, true);
}

/// S4's log is shorter than S0's, and what it has differs, too. Its refusals name a place, which is the next guess and
/// not a match.
fn conflict_before_the_hint(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4];
    stage.elect(s0, &[s1, s2, s3, s4]);
    cluster.one(random(cluster), 5, true);
    stage.elect(s0, &[s1, s2, s3, s4]);
    stage.caption("S0 leads and gets two entries that nobody else has");
    stage.direct(|_| Fate::Lose);
    (0..2).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    stage.caption("S4 leads and gets one that nobody else has");
    stage.elect(s4, &[s1, s2, s3]);
    stage.direct(|_| Fate::Lose);
    let _ = cluster.start(s4, &command(random(cluster)));
    stage.caption("S0 leads again, and repairs S4's log");
    stage.elect(s0, &[s1, s2, s3]);
    stage.all_pass();
    cluster.one(random(cluster), 5, true);
}

/// S0 has two entries of a term of which nobody else has any, behind a long log that all have. To repair it takes what comes
/// after the last entry where the logs agree, and not the log (§5.3).
fn repair_sends_what_differs(cluster: &Cluster) {
    const COMMANDS: usize = 60;
    const BYTES: usize = 1000;
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    for _ in 0..COMMANDS {
        let letters = (0..BYTES).map(|_| b'a' + cluster.draws().below("letter", 26) as u8);
        cluster.one_command(&letters.collect::<Vec<_>>().into(), 3, true);
    }
    stage.caption("S0 is elected anew, and gets two entries that nobody else has");
    stage.elect(s0, &[s1, s2]);
    stage.direct(|_| Fate::Lose);
    (0..2).for_each(|_| _ = cluster.start(s0, &command(random(cluster))));
    stage.caption("S1 is elected, and has others in their place");
    stage.elect(s1, &[s2]);
    agree(cluster, 3, 2);
    stage.caption("S0's log is repaired");
    let before = cluster.net().total_bytes();
    stage.all_pass();
    agree(cluster, 1, 3);
    let (sent, log) = (cluster.net().total_bytes() - before, (COMMANDS * BYTES) as u64);
    if sent > log / 2 {
        run::fail(format!(
            "{sent} bytes were sent to repair a log of {log} bytes that differed in its last two entries, which are of a term of \
             their own. The leader finds \"the latest log entry where the two logs agree\" and sends what comes after it (§5.3)"
        ));
    }
}
