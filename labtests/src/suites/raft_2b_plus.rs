//! 2B+: the log (§5.3, §5.4) in clusters of other sizes, with messages that come twice, late or one way only, by script,
//! and within bounds of time and bytes.

use super::stage::{Kind, Mail, Stage};
use super::storm::{Trouble, storm};
use super::{after, random, reliable, tests};
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use labrpc::network::Fate;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "2B+":
    alone = "Alone", reliable(1);
    pair = "Pair", reliable(2);
    four_agree = "FourAgree", reliable(4);
    doubled_entries = "DoubledEntries", reliable(5);
    overtaking_entries = "OvertakingEntries", reliable(3);
    late_replies = "LateReplies", reliable(5);
    one_way_entries = "OneWayEntries", reliable(5);
    seven_in_trouble = "SevenInTrouble", reliable(7);
    old_acknowledgements = "OldAcknowledgements", reliable(5);
    acknowledgements_in_reverse = "AcknowledgementsInReverse", reliable(3);
    conflict_in_few_steps = "ConflictInFewSteps", reliable(3);
    speed = "Speed", reliable(3);
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A server alone commits alone.
fn alone(cluster: &Cluster) {
    for _ in 0..20 {
        cluster.one(random(cluster), 1, false);
    }
}

/// Of two servers, one commits nothing alone.
fn pair(cluster: &Cluster) {
    storm_of_size(cluster);
}

/// Of four servers, two commit nothing alone.
fn four_agree(cluster: &Cluster) {
    let index = cluster.one(random(cluster), 4, true);
    let leader = cluster.check_one_leader();
    [2, 3].iter().for_each(|&steps| cluster.disconnect(after(cluster, leader, steps)));
    if cluster.start(leader, &command(random(cluster))).is_ok() {
        cluster.sleep(Duration::from_secs(2));
        cluster.check_not_committed(index + 1, "though only two of four servers were connected");
    }
    [2, 3].iter().for_each(|&steps| cluster.connect(after(cluster, leader, steps)));
    storm_of_size(cluster);
}

fn storm_of_size(cluster: &Cluster) {
    storm(cluster, &[Trouble::Duplicates, Trouble::Loss, Trouble::Partitions], true);
}

/// AppendEntries that come twice, the second time when much has happened since.
fn doubled_entries(cluster: &Cluster) {
    storm(cluster, &[Trouble::Duplicates, Trouble::Partitions], true);
}

/// AppendEntries that overtake one another.
fn overtaking_entries(cluster: &Cluster) {
    storm(cluster, &[Trouble::Reordering, Trouble::SlowLinks, Trouble::Partitions], true);
}

/// Replies that come when their leader leads no more, or again.
fn late_replies(cluster: &Cluster) {
    let troubles = [Trouble::LateReplies, Trouble::Reordering, Trouble::Partitions];
    storm(cluster, &troubles, true);
}

/// Links that work one way only.
fn one_way_entries(cluster: &Cluster) {
    storm(cluster, &[Trouble::OneWayCuts, Trouble::Reordering, Trouble::Loss], true);
}

/// A bit of everything for seven servers.
fn seven_in_trouble(cluster: &Cluster) {
    let links = [Trouble::Duplicates, Trouble::Loss, Trouble::SlowLinks];
    storm(cluster, &[&links[..], &[Trouble::OneWayCuts, Trouble::Partitions]].concat(), true);
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

/// Acknowledgements arrive in reverse. "matchIndex [..] increases monotonically" (Figure 2): what a server has
/// acknowledged isn't sent to it again.
fn acknowledgements_in_reverse(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    cluster.one(random(cluster), 3, true);
    let leader = cluster.check_one_leader();
    stage.caption("every acknowledgement but the last is held back");
    let entries = move |mail: &Mail| mail.from == leader && mail.kind == Kind::Entries;
    stage.direct(
        move |mail| {
            if entries(mail) && !mail.is_call() { Fate::Hold } else { Fate::Deliver }
        },
    );
    let mut last = 0;
    for _ in 0..10 {
        let Ok(started) = cluster.start(leader, &command(random(cluster))) else {
            return stage.all_pass();
        };
        last = started.index;
        cluster.sleep(ms(20));
    }
    (0..3).filter(|&i| i != leader).for_each(|i| stage.has(i, last));
    stage.direct(|_| Fate::Deliver);
    let whole = |mail: &Mail| mail.last.is_some_and(|index| index >= last);
    stage.release(whole);
    cluster.sleep(ms(300));
    stage.caption("and now they arrive, the oldest last");
    for index in (0..=last).rev() {
        stage.release(|mail| mail.last == Some(index));
        cluster.sleep(ms(5));
    }
    stage.release(|_| true);
    let from = Instant::now();
    cluster.sleep(ms(1500));
    let again = stage.mail(|mail| mail.at > from && entries(mail) && mail.carries > 0);
    if let Some(mail) = again.first().filter(|_| cluster.state(leader).is_some_and(|(_, l)| l)) {
        run::fail(format!(
            "{} sends {} entries to {} again, up to index {}, all of which that had acknowledged. Replies overtake one another: \
             matchIndex and nextIndex never go back for an old one (Figure 2: matchIndex \"increases monotonically\")",
            name(leader),
            mail.carries,
            name(mail.to),
            mail.last.unwrap_or(0)
        ));
    }
    cluster.one(random(cluster), 3, true);
}

/// How many AppendEntries may be refused until two logs agree that differ by [`CONFLICTS`] entries of one term.
const REFUSALS: usize = 12;
/// See [`REFUSALS`].
const CONFLICTS: u64 = 60;

/// §5.3: "one AppendEntries RPC will be required for each term with conflicting entries, rather than one RPC per entry".
fn conflict_in_few_steps(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    cluster.one(random(cluster), 3, true);
    let old = cluster.check_one_leader();
    stage.caption("a leader that nobody hears gets many entries");
    cluster.disconnect(old);
    (0..CONFLICTS).for_each(|_| _ = cluster.start(old, &command(random(cluster))));
    stage.caption("the others agree on as many");
    for _ in 0..CONFLICTS / 4 {
        cluster.one(random(cluster), 2, true);
    }
    let leader = cluster.check_one_leader();
    (0..CONFLICTS).for_each(|_| _ = cluster.start(leader, &command(random(cluster))));
    cluster.one(random(cluster), 2, true);
    let from = Instant::now();
    stage.caption("it comes back, and its log is repaired");
    cluster.connect(old);
    cluster.one(random(cluster), 3, true);
    let refused = |mail: &Mail| {
        mail.at > from
            && mail.to == old
            && mail.kind == Kind::Entries
            && mail.reply.yes == Some(false)
    };
    let refusals = stage.mail(refused).len();
    if refusals > REFUSALS {
        run::fail(format!(
            "{} refused AppendEntries {refusals} times until its log agreed; {REFUSALS} are allowed for {CONFLICTS} entries \
             of one term that conflict. A refusal says where the conflicting term begins, so that the leader skips all of it \
             (§5.3)",
            name(old)
        ));
    }
}

/// How long an agreement may take: a third of a heartbeat, as in the Go lab's test of its service's speed.
const AGREED_WITHIN: Duration = ms(33);

/// A command is replicated at once, and not with the next heartbeat.
fn speed(cluster: &Cluster) {
    cluster.one(random(cluster), 3, true);
    let leader = cluster.check_one_leader();
    const COMMANDS: u32 = 100;
    let began = Instant::now();
    for _ in 0..COMMANDS {
        let Ok(started) = cluster.start(leader, &command(random(cluster))) else {
            return log::warn!("the leader changed although nothing failed: no speed was measured");
        };
        let waiting = Instant::now();
        while cluster.n_committed(started.index).0 == 0 && waiting.elapsed() < ms(2000) {
            cluster.sleep(ms(1));
        }
    }
    let each = began.elapsed() / COMMANDS;
    if each > AGREED_WITHIN {
        run::fail(format!(
            "an agreement took {each:?} on average, one after the other; {AGREED_WITHIN:?} are allowed. A leader sends a \
             new command at once, not with the next heartbeat, and commits as soon as a majority has answered (§5.3)"
        ));
    }
}
