//! Servers that crash at any step and around any save: the tester notices it, and the servers of the reference agree again.

#![allow(missing_docs, reason = "tests")]

use labrpc::api::{ApplyMsg, Command, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::run::{Outcome, Run};
use labrpc::sync::Mutex;
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{ClientEnd, Moment, Persister};
use labtests::cluster::{Cluster, Setup, Snapshots};
use labtests::invariants::Watch;
use labtests::ledger::command;
use labtests::reading::Reading;
use raftlab::raft::Raft;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[track_caller]
fn succeed<R>(outcome: Outcome<R>) -> R {
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Runs `body` on three servers that have a leader, with the invariants checked. `body` also gets the leader.
fn with_leader<R: Send + 'static>(
    run: Run,
    body: impl FnOnce(&Cluster, usize) -> R + Send + 'static,
) -> R {
    let watch = Watch::new(3, true, Reading::default());
    let run = run.time_limit(Duration::from_secs(120)).trace(watch.clone());
    succeed(run.run(move || {
        let setup = Setup { servers: 3, members: 3, reliable: true, snapshots: Snapshots::Never };
        let cluster = Cluster::watched(labtests::make(Raft::make), setup, watch);
        let leader = cluster.check_one_leader();
        let result = body(&cluster, leader);
        cluster.finish();
        result
    }))
}

/// Waits for a planned crash of `i` while commands go on. Returns whether the crash has come.
fn crashes_under_commands(cluster: &Cluster, i: usize) -> bool {
    for n in 0..100 {
        for server in 0..cluster.n() {
            let _ = cluster.start(server, &command(n));
        }
        if cluster.wait_crashed(i, ms(5)) {
            return true;
        }
    }
    false
}

/// Starts a server again, and lets all servers agree.
fn recover(cluster: &Cluster, i: usize) {
    cluster.one(1000, 2, true);
    cluster.start_server(i);
    cluster.connect(i);
    cluster.one(1001, 3, true);
}

#[test]
fn a_crash_is_noticed_when_it_has_happened() {
    with_leader(Run::simulated(1), |cluster, leader| {
        assert!(!cluster.wait_crashed(leader, ms(500)), "nothing is planned");
        cluster.crash_after_steps(leader, 1);
        sleep(ms(500)); // its heartbeats have crashed it, but nobody has looked yet
        assert_eq!(cluster.state(leader), None);
        assert_eq!(cluster.start(leader, &command(1)), Err(Refused::Stopped));
        assert!(cluster.raft(leader).is_some());

        let start = Instant::now();
        assert!(cluster.wait_crashed(leader, ms(500)));
        assert!(start.elapsed() < ms(1));
        assert!(cluster.raft(leader).is_none() && !cluster.is_connected(leader));
        assert!(cluster.wait_crashed(leader, ms(500)), "it is down");
        recover(cluster, leader);
    });
}

#[test]
fn a_crash_and_a_start_call_a_plan_off() {
    with_leader(Run::simulated(1), |cluster, leader| {
        cluster.crash_after_steps(leader, 1_000_000);
        cluster.crash_at_save(leader, 1000, Moment::Before);
        cluster.crash(leader);
        recover(cluster, leader);
        cluster.crash_after_steps(leader, 1_000_000);
        cluster.start_server(leader); // crashes it
        cluster.connect(leader);
        assert!(!cluster.wait_crashed(leader, Duration::from_secs(2)));
        cluster.one(1002, 3, true);
    });
}

#[test]
fn a_plan_that_is_left_at_the_end_concerns_nobody() {
    for steps in [1, 30, 1_000_000] {
        with_leader(Run::simulated(1), move |cluster, leader| {
            cluster.crash_after_steps(leader, steps);
            sleep(ms(50));
        });
    }
}

#[test]
fn a_leader_may_crash_at_any_step() {
    for steps in 1..150 {
        with_leader(Run::simulated(steps), move |cluster, leader| {
            cluster.crash_after_steps(leader, steps);
            assert!(crashes_under_commands(cluster, leader), "after {steps} steps");
            recover(cluster, leader);
        });
    }
}

#[test]
fn a_follower_may_crash_at_any_step() {
    for steps in 1..100 {
        with_leader(Run::simulated(steps), move |cluster, leader| {
            let follower = (leader + 1) % 3;
            cluster.crash_after_steps(follower, steps);
            assert!(crashes_under_commands(cluster, follower), "after {steps} steps");
            recover(cluster, follower);
        });
    }
}

#[test]
fn anybody_may_crash_around_any_save() {
    for moment in [Moment::Before, Moment::After] {
        for saves in 1..10 {
            for who in 0..3 {
                with_leader(Run::simulated(saves), move |cluster, leader| {
                    let victim = (leader + who) % 3;
                    cluster.crash_at_save(victim, saves, moment);
                    assert!(crashes_under_commands(cluster, victim), "{moment:?} save {saves}");
                    recover(cluster, victim);
                });
            }
        }
    }
}

#[test]
fn a_voter_may_crash_around_its_vote() {
    for moment in [Moment::Before, Moment::After] {
        for who in 1..3 {
            with_leader(Run::simulated(1), move |cluster, leader| {
                let victim = (leader + who) % 3;
                cluster.crash_at_save(victim, 1, moment);
                cluster.disconnect(leader); // so that there is an election
                assert!(cluster.wait_crashed(victim, Duration::from_secs(5)), "{moment:?}");
                cluster.connect(leader);
                recover(cluster, victim);
            });
        }
    }
}

/// Not a Raft. It saves under its lock, and when it is dropped, it checks that this was not in the middle of a save.
struct Saver {
    saving: Mutex<bool>,
    persister: Persister,
}

impl labrpc::api::Raft for Saver {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        let mut saving = self.saving.lock();
        *saving = true;
        self.persister.save_state(&command);
        *saving = false;
        Ok(Started { index: 1, term: 1 })
    }

    fn get_state(&self) -> (u64, bool) {
        (1, !*self.saving.lock())
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {}
}

impl Drop for Saver {
    fn drop(&mut self) {
        assert!(!*self.saving.get_mut() || std::thread::panicking(), "dropped as it saved");
    }
}

#[test]
fn the_tester_never_sees_a_server_that_stopped_halfway() {
    succeed(Run::simulated(1).run(|| {
        let make = |_: Vec<ClientEnd>, _: usize, persister: Persister, _: Sender<ApplyMsg>| {
            (Arc::new(Saver { saving: Mutex::new(false), persister }), Vec::new())
        };
        let setup = Setup { servers: 1, members: 1, reliable: true, snapshots: Snapshots::Never };
        let cluster = Cluster::new(labtests::make(make), setup);
        cluster.crash_at_save(0, 2, Moment::After);
        assert!(cluster.start(0, &command(1)).is_ok());
        assert_eq!(cluster.state(0), Some((1, true)));
        assert_eq!(cluster.start(0, &command(2)), Err(Refused::Stopped), "it never returned");
        assert_eq!(cluster.state(0), None);
        assert!(cluster.wait_crashed(0, Duration::ZERO));
        cluster.start_server(0);
        assert_eq!(cluster.state(0), Some((1, true)));
        cluster.finish();
    }));
}

#[test]
fn in_real_mode_a_server_crashes_at_its_save_and_nobody_hears_of_it() {
    for moment in [Moment::Before, Moment::After] {
        with_leader(Run::real(1), move |cluster, leader| {
            cluster.crash_at_save(leader, 3, moment);
            assert!(crashes_under_commands(cluster, leader));
            recover(cluster, leader);
        });
    }
}

#[test]
fn planned_crashes_replay() {
    let crashed = Arc::new(AtomicU64::new(0));
    let run = |seed: u64| {
        let crashed = crashed.clone();
        let outcome = Run::simulated(seed).run(move || {
            let setup =
                Setup { servers: 3, members: 3, reliable: false, snapshots: Snapshots::EveryTenth };
            let cluster = Cluster::new(labtests::make(Raft::make), setup);
            for i in [0, 1, 2] {
                cluster.crash_after_steps(i, 10 * (seed + i as u64));
                cluster.crash_at_save(i, 5 + seed, Moment::After);
                crashed.fetch_add(u64::from(crashes_under_commands(&cluster, i)), Relaxed);
                cluster.start_server(i);
                cluster.connect(i);
            }
            cluster.one(1, 3, true);
            cluster.finish();
        });
        (outcome.fingerprint, outcome.steps, succeed(outcome))
    };
    for seed in 1..6 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_eq!(crashed.load(Relaxed), 2 * 3 * 5);
}
