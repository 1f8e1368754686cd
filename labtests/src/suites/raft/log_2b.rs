//! 2B: the log (§5.3, §5.4), on a reliable network.

use crate::cluster::{Cluster, name};
use crate::ledger::{command, show};
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::reliable;
use crate::suites::worlds::steps::{after, random};
use labrpc::api::{Refused, Started};
use labrpc::run;
use labrpc::thread;
use labrpc::time::Duration;

tests! { "2B", Raft:
    basic_agree = "BasicAgree", reliable(3);
    rpc_bytes = "RPCBytes", reliable(3);
    follower_failure = "FollowerFailure", reliable(3);
    leader_failure = "LeaderFailure", reliable(3);
    fail_agree = "FailAgree", reliable(3);
    fail_no_agree = "FailNoAgree", reliable(5);
    concurrent_starts = "ConcurrentStarts", reliable(3);
    rejoin = "Rejoin", reliable(3);
    backup = "Backup", reliable(5);
    count = "Count", reliable(3);
}

/// Gives three commands. They must get the indices 1, 2 and 3, and no command may be committed before it is given.
fn basic_agree(cluster: &Cluster) {
    for number in 1..=3 {
        let index = number + own_entries_before(cluster, u64::MAX);
        cluster.check_not_committed(index, "before any command was given for this index");
        expect_number(cluster, cluster.one(100 * number, cluster.n(), false), number);
    }
}

/// How many of Raft's own entries are before `index`. A Raft may have such entries: each new leader may append a no-op (§8).
/// They use indices, too, and the service gets them as [`ApplyMsg::Internal`](labrpc::api::ApplyMsg::Internal).
fn own_entries_before(cluster: &Cluster, index: u64) -> u64 {
    cluster.ledger().lock().own_entries_before(index)
}

/// Fails the test unless the command at `index` is command `number`, counted from 1.
#[track_caller]
fn expect_number(cluster: &Cluster, index: u64, number: u64) {
    let own = own_entries_before(cluster, index);
    if index != number + own {
        let own =
            if own == 0 { String::new() } else { format!(" and {own} entries of Raft's own") };
        run::fail(format!(
            "the command got index {index}, but only {} commands{own} came before it. Indices begin at 1. Only two kinds of \
             entries use an index: commands, and the entries that the service gets as ApplyMsg::Internal",
            number - 1
        ));
    }
}

/// Gives ten commands of 5000 bytes and counts the bytes on the network. The leader should send each entry to each server once.
fn rpc_bytes(cluster: &Cluster) {
    cluster.one(99, cluster.n(), false);
    let before = cluster.net().total_bytes();
    let mut sent = 0;
    for number in 2..12 {
        let text: String = (0..5000).map(|_| letter(cluster)).collect();
        sent += text.len() as u64;
        expect_number(cluster, cluster.one(text, cluster.n(), false), number);
    }
    let used = cluster.net().total_bytes() - before;
    let allowed = cluster.n() as u64 * sent + 50_000;
    if used > allowed {
        run::fail(format!(
            "{used} bytes went over the network for {sent} bytes of commands. At most {allowed} are allowed, because an entry \
             should be sent to each server once"
        ));
    }
}

fn letter(cluster: &Cluster) -> char {
    char::from(b'a' + cluster.draws().below("letter", 26) as u8)
}

/// Gives a command to a server that must be the leader, and must therefore accept it.
#[track_caller]
fn start_on_leader(cluster: &Cluster, leader: usize, value: u64) -> Started {
    match cluster.start(leader, &command(value)) {
        Ok(started) => started,
        Err(refused) => run::fail(format!(
            "{} was the leader a moment ago, but it refused command {value}: {refused:?}",
            name(leader)
        )),
    }
}

/// Cuts off one of three servers, then another. With two servers the leader must still commit commands. Alone it must accept a
/// command, but must not commit it (§5.3).
fn follower_failure(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(101, n, false);
    let leader = cluster.check_one_leader();
    cluster.disconnect(after(cluster, leader, 1));
    cluster.one(102, n - 1, false);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(103, n - 1, false);
    let leader = cluster.check_one_leader();
    cluster.disconnect(after(cluster, leader, 1));
    cluster.disconnect(after(cluster, leader, 2));
    let started = start_on_leader(cluster, leader, 104);
    expect_number(cluster, started.index, 4);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_not_committed(started.index, "but its leader had no majority");
}

/// Does the same as `follower_failure`, but cuts off leaders (§5.3).
fn leader_failure(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(101, n, false);
    cluster.disconnect(cluster.check_one_leader());
    cluster.one(102, n - 1, false);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(103, n - 1, false);
    cluster.disconnect(cluster.check_one_leader());
    // The leader that was cut off first accepts the command, too, at an index where the other servers have committed another
    // command.
    let taken = (0..n).filter_map(|i| cluster.start(i, &command(104)).ok());
    let Some(index) = taken.map(|started| started.index).max() else {
        run::fail(
            "no server accepted command 104. The leader that was cut off just now can't know yet that it has no majority, so it \
             should accept the command",
        );
    };
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_not_committed(index, "but nobody had a majority");
}

/// Cuts a follower off, commits commands without it, and lets it come back. The follower must then get the commands that it
/// missed (§5.3).
fn fail_agree(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(101, n, false);
    let leader = cluster.check_one_leader();
    let follower = after(cluster, leader, 1);
    cluster.disconnect(follower);
    cluster.one(102, n - 1, false);
    cluster.one(103, n - 1, false);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(104, n - 1, false);
    cluster.one(105, n - 1, false);
    cluster.connect(follower);
    cluster.one(106, n, true);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(107, n, true);
}

/// Cuts off three of five servers. The leader must not commit a command without a majority. When the three come back, all
/// servers must agree on new commands (§5.3).
fn fail_no_agree(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(10, n, false);
    let leader = cluster.check_one_leader();
    let gone = [1, 2, 3].map(|steps| after(cluster, leader, steps));
    gone.iter().for_each(|&i| cluster.disconnect(i));
    let started = start_on_leader(cluster, leader, 20);
    expect_number(cluster, started.index, 2);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_not_committed(started.index, "but its leader had no majority");
    gone.iter().for_each(|&i| cluster.connect(i));
    // The three may have elected a leader of their own, whose log lacks the entry.
    let leader = cluster.check_one_leader();
    let started = start_on_leader(cluster, leader, 30);
    // The new leader's no-op may not be applied yet, and then nobody knows how many of Raft's own entries there are.
    let knows_no_own = own_entries_before(cluster, u64::MAX) == 0;
    if knows_no_own && !(2..=3).contains(&started.index) {
        run::fail(format!(
            "command 30 got index {}, but it should get index 2 or 3",
            started.index
        ));
    }
    cluster.one(1000, n, true);
}

/// Gives five commands to the leader at the same time, in one term. All of them must be committed.
fn concurrent_starts(cluster: &Cluster) {
    for attempt in 0..5 {
        if attempt > 0 {
            cluster.sleep(Duration::from_secs(3)); // for the leader to settle
        }
        let leader = cluster.check_one_leader();
        let Ok(first) = cluster.start(leader, &command(1)) else {
            continue;
        };
        let starts = (100..105).map(|value| {
            let cluster = cluster.clone();
            thread::spawn(move || cluster.start(leader, &command(value)))
        });
        let starts: Vec<_> = starts.collect();
        let started: Vec<_> = starts.into_iter().map(|start| start.join()).collect();
        let started: Option<Vec<Started>> = started
            .into_iter()
            .map(|start| start.ok()?.ok().filter(|started| started.term == first.term))
            .collect();
        if (0..cluster.n()).any(|i| cluster.state(i).is_none_or(|(term, _)| term != first.term)) {
            continue; // the term has changed
        }
        let Some(started) = started else {
            run::fail(
                "the leader refused one of five commands that were given at once, although the term did not change",
            )
        };
        let committed: Option<Vec<_>> = started
            .iter()
            .map(|started| cluster.wait(started.index, cluster.n(), Some(first.term)))
            .collect();
        let Some(committed) = committed else { continue };
        for value in 100..105 {
            if !committed.contains(&command(value)) {
                let found: Vec<_> = committed.iter().map(show).collect();
                run::fail(format!(
                    "the leader accepted {value} and other commands at once, but {value} is not among the commands that were \
                     committed: {found:?}"
                ));
            }
        }
        return;
    }
    run::fail("the term changed in each of five attempts, although nothing failed");
}

/// Cuts off a leader with entries that no other server has, and lets it come back after others were committed. The new leader
/// must replace the entries (§5.3).
fn rejoin(cluster: &Cluster) {
    let n = cluster.n();
    cluster.one(101, n, true);
    let first = cluster.check_one_leader();
    cluster.disconnect(first);
    for value in 102..=104 {
        start_on_leader(cluster, first, value);
    }
    cluster.one(103, 2, true);
    let second = cluster.check_one_leader();
    cluster.disconnect(second);
    cluster.connect(first);
    cluster.one(104, 2, true);
    cluster.connect(second);
    cluster.one(105, n, true);
}

/// Gives fifty uncommitted entries to each of two leaders, and fifty committed ones to the other servers. When all servers can
/// hear each other, the leader must repair these long, different logs fast (§5.3).
fn backup(cluster: &Cluster) {
    let n = cluster.n();
    let one = |servers| cluster.one(random(cluster), servers, true);
    one(n);
    // The first leader and a follower have fifty entries that no other server has.
    let first = cluster.check_one_leader();
    let ring: Vec<_> = (0..n).map(|steps| after(cluster, first, steps)).collect();
    ring[2..].iter().for_each(|&i| cluster.disconnect(i));
    burst(cluster, first);
    cluster.sleep(ELECTION_TIMEOUT / 2);
    // The other three servers commit fifty commands.
    ring[..2].iter().for_each(|&i| cluster.disconnect(i));
    ring[2..].iter().for_each(|&i| cluster.connect(i));
    (0..50).for_each(|_| _ = one(3));
    // Of these three, one server is cut off. The leader and the remaining follower get fifty more entries.
    let second = cluster.check_one_leader();
    let other = if second == ring[2] { after(cluster, second, 1) } else { ring[2] };
    cluster.disconnect(other);
    burst(cluster, second);
    cluster.sleep(ELECTION_TIMEOUT / 2);
    // The first two come back. Only the server that was cut off last can repair their logs.
    (0..n).for_each(|i| cluster.disconnect(i));
    [ring[0], ring[1], other].iter().for_each(|&i| cluster.connect(i));
    (0..50).for_each(|_| _ = one(3));
    (0..n).for_each(|i| cluster.connect(i));
    one(n);
}

/// Gives fifty commands to a leader that can't commit them.
fn burst(cluster: &Cluster, leader: usize) {
    for _ in 0..50 {
        start_on_leader(cluster, leader, random(cluster));
    }
}

/// Counts the calls of an election, of an agreement on twelve commands, and of a second without commands. There must not be too
/// many.
fn count(cluster: &Cluster) {
    let calls = || (0..cluster.n()).map(|i| cluster.net().count(&name(i))).sum::<u64>();
    cluster.check_one_leader();
    let elected = calls();
    if !(1..=30).contains(&elected) {
        run::fail(format!(
            "it took {elected} calls to elect the first leader; 1 to 30 are expected"
        ));
    }
    for attempt in 0..5 {
        if attempt > 0 {
            cluster.sleep(Duration::from_secs(3)); // for the leader to settle
        }
        if let Some(agreed) = count_agreement(cluster, &calls) {
            cluster.sleep(ELECTION_TIMEOUT);
            let idle = calls() - agreed;
            if idle > 3 * 20 {
                run::fail(format!(
                    "the servers made {idle} calls in a second without commands; at most 60 are allowed"
                ));
            }
            return;
        }
    }
    run::fail("the term changed in each of five attempts, although nothing failed");
}

/// Gives twelve commands at once. Returns how many calls there have been in all, or `None` if the term changed.
fn count_agreement(cluster: &Cluster, calls: &dyn Fn() -> u64) -> Option<u64> {
    const BATCH: u64 = 10;
    let leader = cluster.check_one_leader();
    let before = calls();
    let first = cluster.start(leader, &command(1)).ok()?;
    let mut commands = Vec::new();
    for i in 1..BATCH + 2 {
        let value = command(random(cluster));
        let started = match cluster.start(leader, &value) {
            Ok(started) if started.term == first.term => started,
            Ok(_) | Err(Refused::NotLeader { .. }) => return None,
            Err(refused) => run::fail(format!("the leader refused a command: {refused:?}")),
        };
        if started.index != first.index + i {
            run::fail(format!(
                "the command after the one at index {} got index {}, but it should get the next index",
                first.index + i - 1,
                started.index
            ));
        }
        commands.push(value);
    }
    for i in 1..=BATCH {
        let found = cluster.wait(first.index + i, cluster.n(), Some(first.term))?;
        let given = &commands[i as usize - 1];
        if found != *given {
            let (index, found, given) = (first.index + i, show(&found), show(given));
            run::fail(format!(
                "the leader accepted {given} at index {index}, but {found} was committed at that index"
            ));
        }
    }
    if (0..cluster.n()).any(|i| cluster.state(i).is_none_or(|(term, _)| term != first.term)) {
        return None;
    }
    let agreed = calls();
    let allowed = (BATCH + 1 + 3) * 3;
    if agreed - before > allowed {
        run::fail(format!(
            "the servers made {} calls to agree on {} commands that were given at once. At most {allowed} are allowed, because \
             one call can carry many entries",
            agreed - before,
            BATCH + 2
        ));
    }
    Some(agreed)
}
