//! What a test may do to the network between two servers and to the servers, and how this lasts over restarts.

#![allow(missing_docs, reason = "tests")]

use labrpc::api::{ApplyMsg, Command, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::network::{Fate, Leg};
use labrpc::run::{Outcome, Run};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{ClientEnd, Persister, Service, thread};
use labtests::cluster::{Cluster, Setup, Snapshots, way_of};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Latency in both directions, and how long the steps of a simulation take.
const TRIP: Duration = ms(5);

#[track_caller]
fn succeed<R>(outcome: Outcome<R>) -> R {
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Which server heard from which, which server got whose answer, and how long that took.
type Heard = Arc<Mutex<Vec<(&'static str, usize, usize, Duration)>>>;

/// Not a Raft: it starts a ping to every peer.
struct Pinger {
    peers: Vec<ClientEnd>,
    me: usize,
    heard: Heard,
}

impl Raft for Pinger {
    fn start(&self, _: Command) -> Result<Started, Refused> {
        for (to, peer) in self.peers.iter().enumerate().filter(|(to, _)| *to != self.me) {
            let (call, me, heard) =
                (peer.send("Pinger.Ping", &self.me), self.me, self.heard.clone());
            let sent = Instant::now();
            thread::spawn(move || {
                if let Some(()) = call.wait() {
                    heard.lock().push(("answer", to, me, sent.elapsed()));
                }
            });
        }
        Ok(Started { index: 1, term: 1 })
    }

    fn get_state(&self) -> (u64, bool) {
        (1, true)
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {}
}

/// A cluster of two pingers.
fn pingers() -> (Cluster, Heard) {
    let heard = Heard::default();
    let noted = heard.clone();
    let make = move |peers: Vec<ClientEnd>, me: usize, _: Persister, _: Sender<ApplyMsg>| {
        let heard = noted.clone();
        let hear = move |from: usize| heard.lock().push(("ping", from, me, ms(0)));
        let raft = Pinger { peers, me, heard: noted.clone() };
        (Arc::new(raft), vec![Service::new("Pinger").method("Ping", hear)])
    };
    let setup = Setup { servers: 2, members: 2, reliable: true, snapshots: Snapshots::Never };
    (Cluster::new(labtests::make(make), setup), heard)
}

/// Lets both servers ping, and returns the pings and answers that arrived, by sender and receiver.
fn ping_pong(cluster: &Cluster, heard: &Heard) -> Vec<(&'static str, usize, usize)> {
    heard.lock().clear();
    (0..2).for_each(|i| _ = cluster.start(i, &Command::default()).unwrap());
    sleep(Duration::from_secs(8));
    let mut pairs: Vec<_> = heard.lock().iter().map(|(what, a, b, _)| (*what, *a, *b)).collect();
    pairs.sort_unstable();
    pairs
}

const ALL: [(&str, usize, usize); 4] =
    [("answer", 0, 1), ("answer", 1, 0), ("ping", 0, 1), ("ping", 1, 0)];

/// Crashes and restarts a server.
fn restart(cluster: &Cluster, i: usize) {
    cluster.crash(i);
    cluster.start_server(i);
    cluster.connect(i);
}

#[test]
fn a_one_way_cut_silences_one_direction_over_restarts() {
    succeed(Run::simulated(1).run(|| {
        let (cluster, heard) = pingers();
        assert_eq!(ping_pong(&cluster, &heard), ALL);
        cluster.cut_one_way(0, 1, true);
        // Server 1 still pings server 0, but gets neither its pings nor its answers.
        let one_way = [("ping", 1, 0)];
        assert_eq!(ping_pong(&cluster, &heard), one_way);
        for i in [0, 1] {
            restart(&cluster, i);
            assert_eq!(ping_pong(&cluster, &heard), one_way);
        }
        cluster.cut_one_way(1, 0, true);
        assert_eq!(ping_pong(&cluster, &heard), []);
        cluster.cut_one_way(0, 1, false);
        assert_eq!(ping_pong(&cluster, &heard), [("ping", 0, 1)]);
        cluster.cut_one_way(1, 0, false);
        assert_eq!(ping_pong(&cluster, &heard), ALL);
        cluster.finish();
    }));
}

/// How long the answers took.
fn round_trips(cluster: &Cluster, heard: &Heard) -> Vec<Duration> {
    assert_eq!(ping_pong(cluster, heard), ALL);
    let heard = heard.lock();
    heard.iter().filter(|(what, ..)| *what == "answer").map(|(.., took)| *took).collect()
}

#[test]
fn a_slow_link_stays_slow_over_restarts() {
    succeed(Run::simulated(1).run(|| {
        let (cluster, heard) = pingers();
        let assert_all_within = |range: Range<Duration>| {
            let trips = round_trips(&cluster, &heard);
            let within = |trip: &Duration| range.start <= *trip && *trip < range.end + TRIP;
            assert!(trips.len() == 2 && trips.iter().all(within), "{trips:?}");
        };
        assert_all_within(ms(0)..ms(0));
        cluster.delay_link(1, 0, ms(200)..ms(300));
        assert_all_within(ms(400)..ms(600));
        restart(&cluster, 0);
        restart(&cluster, 1);
        assert_all_within(ms(400)..ms(600));
        cluster.delay_link(0, 1, ms(0)..ms(0));
        assert_all_within(ms(0)..ms(0));
        cluster.finish();
    }));
}

#[test]
fn a_message_goes_from_its_sender_to_its_receiver() {
    succeed(Run::simulated(1).run(|| {
        let (cluster, _) = pingers();
        cluster.net().intercept(|_| Fate::Hold);
        restart(&cluster, 1); // so that its ends get new names
        cluster.start(1, &Command::default()).unwrap();
        let held = || cluster.net().held().iter().map(|l| (l.leg, way_of(l))).collect::<Vec<_>>();
        assert_eq!(held(), [(Leg::Request, Some((1, 0)))]);
        cluster.net().release(|_| true);
        sleep(TRIP);
        assert_eq!(held(), [(Leg::Reply, Some((0, 1)))]);
        cluster.finish();
    }));
}

#[test]
fn what_a_script_still_holds_at_the_end_keeps_nobody() {
    for run in [Run::simulated(1), Run::real(1).time_limit(Duration::from_secs(60))] {
        succeed(run.run(|| {
            let (cluster, _) = pingers();
            cluster.net().intercept(|_| Fate::Hold);
            cluster.start(0, &Command::default()).unwrap();
            while cluster.net().held().is_empty() {
                sleep(ms(1));
            }
            cluster.finish();
        }));
    }
}

/// Not a Raft: it saves its state with an empty snapshot, as Go's `Save(state, nil)` does.
struct SavesNoSnapshot(Persister);

impl Raft for SavesNoSnapshot {
    fn start(&self, _: Command) -> Result<Started, Refused> {
        self.0.save(&1u64, Snapshot::default());
        Err(Refused::NotLeader { leader: None })
    }

    fn get_state(&self) -> (u64, bool) {
        (self.0.raft_state().unwrap_or(0), false)
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {}
}

#[test]
fn a_server_that_has_saved_an_empty_snapshot_restarts_without_one() {
    succeed(Run::simulated(1).run(|| {
        let make = |_: Vec<ClientEnd>, _: usize, persister: Persister, _: Sender<ApplyMsg>| {
            (Arc::new(SavesNoSnapshot(persister)), Vec::<Service>::new())
        };
        let setup =
            Setup { servers: 1, members: 1, reliable: true, snapshots: Snapshots::EveryTenth };
        let cluster = Cluster::new(labtests::make(make), setup);
        let _ = cluster.start(0, &Command::default());
        restart(&cluster, 0);
        assert_eq!(cluster.state(0), Some((1, false)), "the state was saved");
        assert_eq!(cluster.largest_snapshot(), (0, 0));
        cluster.finish();
    }));
}
