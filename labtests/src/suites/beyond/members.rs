//! Servers are added and removed as members, one at a time (thesis §4).

use super::change::{ChangeRequest, change, check_members};
use super::members_crashes::{
    membership_is_in_snapshots, membership_survives_crashes_of_all_servers,
};
use super::members_storms::{membership_changes_under_all_faults, membership_changes_under_faults};
use crate::cluster::{Cluster, name, names};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable, sloppy, unreliable, with_snapshots};
use crate::suites::worlds::steps::{agree, ms, random, restart};
use crate::suites::worlds::threads::{Stop, joined, spawn};
use labrpc::api::beyond::NotChanged;
use labrpc::run;
use labrpc::time::{Duration, Instant};

tests! { "members", Beyond(Members):
    membership_of_every_size = "MembersOfEverySize", members(1, reliable(7));
    membership_changes_under_load = "MembersUnderLoad", members(1, unreliable(5));
    invalid_membership_changes_are_refused = "MembersBadWishes", members(3, reliable(4));
    removed_leader_steps_down = "LeaderLeaves", members(4, reliable(4));
    removed_server_does_not_disturb = "RemovedServer", members(4, reliable(4));
    unreachable_learner_does_not_count = "SilentNewcomer", members(3, reliable(4));
    slow_learner_does_not_delay_commits = "NewcomerThatLags", members(3, reliable(4));
    one_membership_change_at_a_time = "OneChangeAtATime", members(4, reliable(5));
    overwritten_membership_change_is_undone = "ChangeIsUndone", members(5, reliable(6));
    membership_is_in_snapshots = "MembersInSnapshots", members(3, with_snapshots(reliable(5)));
    membership_survives_crashes_of_all_servers = "MembersAfterBlackouts", members(2, unreliable(5));
    membership_changes_under_faults = "MembersInAStorm", members(3, reliable(5));
    membership_changes_under_all_faults = "MembersInEveryStorm", members(3, sloppy(reliable(5)));
}

/// Adds members from one to seven and removes them again. At every size a majority must commit, and fewer servers must not
/// (thesis §4.1).
fn membership_of_every_size(cluster: &Cluster) {
    let all: Vec<_> = (0..cluster.n()).collect();
    agree(cluster, 1, 1);
    for size in 1..=cluster.n() {
        if size > 1 {
            change(cluster, ChangeRequest::Add(size - 1));
        }
        majorities_commit(cluster, &all[..size]);
    }
    for gone in 0..cluster.n() - 1 {
        change(cluster, ChangeRequest::Remove(gone));
        majorities_commit(cluster, &all[gone + 1..]);
    }
    cluster.reached_check();
}

/// Checks that a majority with the leader agrees on a command, and that one server fewer does not commit a command.
#[track_caller]
fn majorities_commit(cluster: &Cluster, members: &[usize]) {
    agree(cluster, 1, members.len());
    let leader = cluster.check_one_leader();
    check_members(cluster, leader, members);
    let quorum = members.len() / 2 + 1;
    let others: Vec<_> = members.iter().copied().filter(|i| *i != leader).collect();
    let away = &others[quorum - 1..];
    away.iter().for_each(|&i| cluster.disconnect(i));
    let index = agree(cluster, 1, quorum);
    if quorum > 1 {
        cluster.disconnect(others[0]);
        if cluster.start(leader, &command(random(cluster))).is_ok() {
            cluster.sleep(ELECTION_TIMEOUT);
            let why = format!("but only {} of {} members are connected", quorum - 1, members.len());
            cluster.check_not_committed(index + 1, &why);
        }
    }
    others.iter().for_each(|&i| cluster.connect(i));
    agree(cluster, 1, members.len());
}

/// Gives commands while the cluster grows to five members and shrinks to one. No command that a server has applied may get lost.
fn membership_changes_under_load(cluster: &Cluster) {
    under_load(cluster, || {
        for server in 1..5 {
            change(cluster, ChangeRequest::Add(server));
        }
        for server in [3, 0, 4, 1] {
            change(cluster, ChangeRequest::Remove(server));
        }
    });
    let leader = cluster.check_one_leader();
    check_members(cluster, leader, &[2]);
    agree(cluster, 1, 1);
    cluster.reached_check();
}

/// Gives commands to all servers, which may refuse them, while something happens.
fn under_load(cluster: &Cluster, happens: impl FnOnce()) {
    let stop = Stop::default();
    let (busy, until) = (cluster.clone(), stop.clone());
    let load = spawn("commands", move || {
        while !until.is_set() {
            (0..busy.n()).for_each(|i| _ = busy.start(i, &command(random(&busy))));
            busy.sleep(busy.draws().millis("between commands", 5..50));
        }
    });
    happens();
    stop.set();
    joined(load);
}

/// Asks for configuration changes that are not possible. They must be refused at once, with the reason, and must not change
/// anything.
fn invalid_membership_changes_are_refused(cluster: &Cluster) {
    use NotChanged::*;
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    let follower = (leader + 1) % 3;
    let cases = [
        (leader, ChangeRequest::Add(follower), Member),
        (leader, ChangeRequest::Add(leader), Member),
        (leader, ChangeRequest::Remove(3), NotMember),
        (leader, ChangeRequest::Add(4), NoSuchServer),
        (leader, ChangeRequest::Remove(4), NoSuchServer),
        (leader, ChangeRequest::Add(usize::MAX), NoSuchServer),
        (leader, ChangeRequest::Remove(usize::MAX), NoSuchServer),
    ];
    for (i, request, expected) in cases {
        check_refused(cluster, i, request, |why| why == expected, &format!("{expected:?}"));
    }
    let not_leader = |why| matches!(why, NotLeader { .. });
    check_refused(cluster, follower, ChangeRequest::Add(3), not_leader, "NotLeader");
    check_refused(
        cluster,
        3,
        ChangeRequest::Remove(leader),
        not_leader,
        "NotLeader, because it is not a member",
    );
    check_members(cluster, leader, &[0, 1, 2]);
    for server in (0..3).filter(|i| *i != leader) {
        change(cluster, ChangeRequest::Remove(server));
    }
    let last_member = |why| why == LastMember;
    check_refused(cluster, leader, ChangeRequest::Remove(leader), last_member, "LastMember");
    check_members(cluster, leader, &[leader]);
    agree(cluster, 1, 1);
    cluster.reached_check();
}

#[track_caller]
fn check_refused(
    cluster: &Cluster,
    i: usize,
    request: ChangeRequest,
    fits: impl Fn(NotChanged) -> bool,
    expected: &str,
) {
    match request.ask(cluster, i) {
        Some(Err(why)) if fits(why) => {}
        other => run::fail(format!(
            "{} was asked to {request}. It must refuse this with {expected}, but the answer was {other:?}",
            name(i)
        )),
    }
}

/// Lets one leader after the other remove itself. "A leader that is removed [..] steps down once the Cnew entry is committed"
/// (thesis §4.2.2).
fn removed_leader_steps_down(cluster: &Cluster) {
    let mut members: Vec<_> = (0..cluster.n()).collect();
    while members.len() > 1 {
        agree(cluster, 2, members.len());
        let leader = cluster.check_one_leader();
        let asked = cluster.remove_server(leader, leader);
        members.retain(|i| *i != leader);
        if asked != Some(Ok(())) {
            run::fail(format!("{} leads, but could not remove itself: {asked:?}", name(leader)));
        }
        if let Some((term, true)) = cluster.state(leader) {
            run::fail(format!(
                "{} has removed itself and the change is committed, but it still says that it leads term {term}. A leader that \
                 is removed must step down when the change is committed (thesis §4.2.2)",
                name(leader)
            ));
        }
        cluster.reached_check();
        let index = agree(cluster, 1, members.len());
        if members.len() == 1 {
            return;
        }
        let next = cluster.check_one_leader();
        if next == leader {
            run::fail(format!("{} is not a member any more, but it leads again", name(leader)));
        }
        check_members(cluster, next, &members);
        cluster.sleep(ELECTION_TIMEOUT);
        if cluster.ledger().lock().who_has(index).contains(&leader) {
            run::fail(format!(
                "{} was removed, but it still gets entries that were committed afterwards",
                name(leader)
            ));
        }
    }
}

/// Removes a server while it is cut off. When it comes back, it doesn't know that it was removed, and becomes a candidate. It
/// must not disturb the members, which hear their leader (thesis §4.2.3).
fn removed_server_does_not_disturb(cluster: &Cluster) {
    agree(cluster, 1, 4);
    let leader = cluster.check_one_leader();
    let gone = (leader + 1) % 4;
    cluster.disconnect(gone);
    change(cluster, ChangeRequest::Remove(gone));
    let term = cluster.check_terms();
    cluster.connect(gone);
    for _ in 0..10 {
        agree(cluster, 1, 3);
        cluster.sleep(ELECTION_TIMEOUT);
        let now = cluster.state(leader);
        if now != Some((term, true)) {
            run::fail(format!(
                "{0} led term {term} when {1} was removed, and all members have heard {0} since. So {0} should still lead term \
                 {term}, but its state is {now:?}. A removed server gets no heartbeats, so it becomes a candidate. Members that \
                 hear their leader must ignore the candidate's requests (thesis §4.2.3)",
                name(leader),
                name(gone)
            ));
        }
    }
    cluster.reached_check();
}

/// Adds a server that no member can reach, while one of three members is down. The new server must not count before it has
/// caught up: otherwise a commit would need three of four servers, and only two are up (thesis §4.2.1).
fn unreachable_learner_does_not_count(cluster: &Cluster) {
    agree(cluster, 1, 3);
    let leader = cluster.check_one_leader();
    let down = (leader + 1) % 3;
    cluster.disconnect(3);
    cluster.crash(down);
    let adding = spawn("add S3", {
        let cluster = cluster.clone();
        move || cluster.add_server(leader, 3)
    });
    for _ in 0..5 {
        agree(cluster, 1, 2);
        cluster.sleep(ms(200));
    }
    let added = joined(adding);
    if matches!(added, Some(Ok(()))) {
        run::fail(format!(
            "{} says that it has added S3, but no server can reach S3. A new server must catch up before it becomes a member \
             (thesis §4.2.1)",
            name(leader)
        ));
    }
    check_members(cluster, leader, &[0, 1, 2]);
    agree(cluster, 1, 2);
    cluster.connect(3);
    restart(cluster, down);
    change(cluster, ChangeRequest::Add(3));
    agree(cluster, 1, 4);
    cluster.reached_check();
}

/// Adds a server that gets a long log slowly, while one of three members is down. Commands must still be committed at their
/// usual pace, because the new server does not count before it has caught up (thesis §4.2.1).
fn slow_learner_does_not_delay_commits(cluster: &Cluster) {
    agree(cluster, 300, 3);
    let leader = cluster.check_one_leader();
    let down = (leader + 1) % 3;
    (0..3).for_each(|i| cluster.delay_link(i, 3, ms(150)..ms(151)));
    cluster.crash(down);
    let adding = spawn("add S3", {
        let cluster = cluster.clone();
        move || cluster.add_server(leader, 3)
    });
    let began = Instant::now();
    for _ in 0..10 {
        agree(cluster, 1, 2);
    }
    if began.elapsed() > 2 * ELECTION_TIMEOUT {
        run::fail(format!(
            "ten commands took {:?} while S3, which is slow, was being added. A new server must not count for a majority before \
             it has caught up (thesis §4.2.1)",
            began.elapsed()
        ));
    }
    cluster.mend_links();
    restart(cluster, down);
    let _ = joined(adding); // the leader may have given up the addition
    change(cluster, ChangeRequest::Add(3));
    agree(cluster, 1, 4);
    cluster.reached_check();
}

/// Asks for a second configuration change while the first can't be committed. The second must be refused: two changes at a time
/// could make two majorities that share no server (thesis §4.1).
fn one_membership_change_at_a_time(cluster: &Cluster) {
    agree(cluster, 1, 4);
    let leader = cluster.check_one_leader();
    let others: Vec<_> = (0..4).filter(|i| *i != leader).collect();
    others.iter().for_each(|&i| cluster.disconnect(i));
    let removing = spawn("remove a server", {
        let (cluster, gone) = (cluster.clone(), others[2]);
        move || cluster.remove_server(leader, gone)
    });
    cluster.sleep(ms(100));
    let second = cluster.remove_server(leader, others[1]);
    let refused = matches!(second, Some(Err(NotChanged::UnderWay | NotChanged::NotLeader { .. })));
    if !refused {
        run::fail(format!(
            "{0} was asked to remove {1} while its removal of {2} was not committed yet. The answer was {second:?}, but the \
             leader must refuse this: a leader makes one configuration change at a time (thesis §4.1). \
             Otherwise two majorities may have no server in common, and Election Safety (Figure 3) rests on that server",
            name(leader),
            name(others[1]),
            name(others[2])
        ));
    }
    let again = cluster.remove_server(leader, others[2]);
    if matches!(again, Some(Ok(()) | Err(NotChanged::NotMember))) {
        run::fail(format!(
            "{0} was asked again to remove {1} before its first removal of {1} was committed. The answer was {again:?}. The \
             removal is done only when it is committed, because an uncommitted configuration may be removed from the log again \
             (thesis §4.1)",
            name(leader),
            name(others[2])
        ));
    }
    others.iter().for_each(|&i| cluster.connect(i));
    let first = joined(removing);
    cluster.sleep(ELECTION_TIMEOUT);
    agree(cluster, 1, 3);
    change(cluster, ChangeRequest::Remove(others[2]));
    let leader = cluster.check_one_leader();
    let members: Vec<_> = (0..4).filter(|i| *i != others[2]).collect();
    if first == Some(Ok(())) {
        check_members(cluster, leader, &members);
    }
    agree(cluster, 1, 3);
    cluster.reached_check();
}

/// Lets a leader without a majority append a new configuration, which another leader's entries then replace. After that the old
/// configuration must hold again (thesis §4.1).
fn overwritten_membership_change_is_undone(cluster: &Cluster) {
    agree(cluster, 1, 5);
    let leader = cluster.check_one_leader();
    let others: Vec<_> = (0..5).filter(|i| *i != leader).collect();
    cluster.partition(&[leader, others[0], 5]);
    let adding = spawn("add S5", {
        let cluster = cluster.clone();
        move || cluster.add_server(leader, 5)
    });
    cluster.sleep(2 * ELECTION_TIMEOUT);
    let majority = agree_among(cluster, &others[1..]);
    cluster.connect_all();
    let added = joined(adding);
    cluster.sleep(ELECTION_TIMEOUT);
    if added == Some(Ok(())) {
        run::fail(format!(
            "{0} says that it has added S5, but {0} was cut off from the majority and could not commit the change (thesis §4.1)",
            name(leader)
        ));
    }
    agree(cluster, 1, 5);
    (0..5).for_each(|i| check_members(cluster, i, &[0, 1, 2, 3, 4]));
    if cluster.n_committed(majority).0 < 5 {
        run::fail("a command that the majority had committed is not on all servers");
    }
    cluster.reached_check();
}

/// Gets a command agreed on by servers that hear only each other.
#[track_caller]
fn agree_among(cluster: &Cluster, servers: &[usize]) -> u64 {
    let (command, began) = (command(random(cluster)), Instant::now());
    while began.elapsed() < Duration::from_secs(10) {
        for &i in servers {
            let Ok(started) = cluster.start(i, &command) else { continue };
            cluster.sleep(ms(500));
            if cluster.n_committed(started.index).0 >= servers.len() {
                return started.index;
            }
        }
        cluster.sleep(ms(50));
    }
    run::fail(format!(
        "{} hear each other, but did not agree on a command within 10 s",
        names(servers)
    ))
}
