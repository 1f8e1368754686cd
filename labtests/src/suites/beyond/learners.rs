//! A server that is being added is a learner: it gets the log, and does not count for any majority until it has the log (thesis
//! §4.2.1). It does not count for a read, for a lease, or when a leader checks whether a majority still hears it.

use super::reads::while_reading;
use crate::cluster::{Cluster, name};
use crate::ledger::command;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::lab_test::tests;
use crate::suites::worlds::setups::{members, reliable};
use crate::suites::worlds::stage::Stage;
use crate::suites::worlds::steps::{agree, agree_on_long, ms, random};
use crate::suites::worlds::threads::{joined, spawn};
use labrpc::api::beyond::NotChanged;
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::{Duration, Instant};

tests! { "members", Beyond(Members):
    learner_confirms_no_reads = "LearnerConfirmsNoReads", members(3, reliable(4));
    learner_does_not_count_for_check_quorum = "LearnerIsNoQuorum", members(3, reliable(4));
}

/// This many commands of [`BYTES`] bytes make a log or a snapshot that takes seconds on a slow link.
const COMMANDS: usize = 24;
/// See [`COMMANDS`].
const BYTES: usize = 10_000;

/// Lets the leader S0 add S3 over a slow link. S3 takes long to get the log, and answers all the time.
fn slow_learner(cluster: &Cluster) -> JoinHandle<Option<Result<(), NotChanged>>> {
    let [s0, s3] = [0, 3];
    cluster.delay_link(s0, s3, ms(40)..ms(40));
    let adding = spawn("add S3", {
        let cluster = cluster.clone();
        move || cluster.add_server(s0, s3)
    });
    cluster.sleep(ELECTION_TIMEOUT / 4);
    adding
}

/// Gives the members a long log, and lets S0 make a snapshot of it.
fn long_log(stage: &Stage<'_>) {
    let cluster = stage.cluster;
    stage.elect(0, &[1, 2]);
    stage.all_pass();
    let last = agree_on_long(cluster, COMMANDS, BYTES, 3);
    stage.settle();
    cluster.make_snapshot(0, last);
}

/// Waits until all members have the whole log, and makes S0 the leader.
fn s0_leads(stage: &Stage<'_>) {
    agree(stage.cluster, 1, 3);
    stage.settle();
    stage.elect(0, &[1, 2]);
    stage.all_pass();
    agree(stage.cluster, 1, 3);
}

fn is_member(cluster: &Cluster) -> bool {
    (0..3).any(|i| cluster.members(i).is_some_and(|members| members.contains(&3)))
}

/// Cuts off S0 and the learner S3 from the other members, which elect a leader and commit commands. S0 is asked for read
/// indices all the time. S3's answers must not confirm a read, because S3 is no member (thesis §4.2.1, §6.4).
fn learner_confirms_no_reads(cluster: &Cluster) {
    if cluster.raft(0).is_none_or(|raft| raft.reads().is_none()) {
        return cluster.reached_check(); // this Raft reads through the log, so this rule doesn't concern it
    }
    let stage = Stage::new(cluster);
    long_log(&stage);
    for _ in 0..3 {
        s0_leads(&stage);
        let adding = slow_learner(cluster);
        stage.caption("S0 and S3 are cut off from the members");
        while_reading(cluster, &[0], || {
            cluster.partition(&[0, 3]);
            let began = Instant::now();
            while began.elapsed() < 3 * ELECTION_TIMEOUT {
                [1, 2].iter().for_each(|&i| _ = cluster.start(i, &command(random(cluster))));
                cluster.sleep(ms(10));
            }
        });
        let counts = is_member(cluster);
        cluster.mend_links();
        cluster.connect_all();
        joined(adding);
        if counts {
            break;
        }
        cluster.reached_check();
    }
    stage.over();
    agree(cluster, 1, 3);
}

/// How long to wait whether a leader that hears no other member steps down.
const LEADS_ON: Duration = Duration::from_secs(5);

/// Cuts off S0 alone, and then S0 with the learner S3. If S0 steps down when it is alone, it must also step down when only S3
/// answers, because S3 is no member (thesis §4.2.1, §6.2).
fn learner_does_not_count_for_check_quorum(cluster: &Cluster) {
    let stage = Stage::new(cluster);
    long_log(&stage);
    let leads = || matches!(cluster.state(0), Some((_, true)));
    stage.caption("S0 is cut off: does it step down by itself?");
    cluster.disconnect(0);
    let (began, steps_down) = (Instant::now(), stage.until(LEADS_ON, || !leads()));
    let after = began.elapsed();
    cluster.connect(0);
    s0_leads(&stage);
    if steps_down {
        let adding = slow_learner(cluster);
        stage.caption("S0 and S3 are cut off from the members");
        cluster.partition(&[0, 3]);
        let too = stage.until(2 * after + ELECTION_TIMEOUT / 2, || !leads());
        let counts = is_member(cluster);
        if !counts {
            cluster.reached_check();
        }
        if !too && !counts {
            run::fail(format!(
                "when {0} was cut off from all servers, it stepped down after {after:?}. But when only {1} hears {0}, then {0} \
                 still leads. {1} is being added and is not a member yet. A learner does not count for a quorum (thesis §4.2.1, \
                 §6.2)",
                name(0),
                name(3)
            ));
        }
        cluster.mend_links();
        cluster.connect_all();
        joined(adding);
    } else {
        cluster.reached_check(); // this Raft leads on even if no server answers
    }
    stage.over();
    agree(cluster, 1, 3);
}
