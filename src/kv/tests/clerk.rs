//! The clerk, on a network that duplicates requests.

use super::{open, simulated, value};
use crate::kv::clerk::Clerk;
use crate::kv::server::{NoAnswer, Reply};
use crate::kv::store::{Op, Store};
use labrpc::api::kv::{self, StateMachine, VersionedClerk};
use labrpc::network::{Fate, Leg, Network};
use labrpc::sync::{Arc, Mutex};
use labrpc::time::{Duration, sleep};
use labrpc::{Server, Service};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Servers of a store on which everything is committed at once. `answers` decides what they answer. It gets the server, how many
/// requests the server has had, and the request.
fn servers(
    number: usize,
    answers: impl Fn(usize, u64, Op) -> Reply + Clone + Send + Sync + 'static,
) -> (Network, Clerk) {
    let net = Network::new();
    let ends = (0..number).map(|i| {
        let (answers, count) = (answers.clone(), Mutex::new(0));
        let service = Service::new("Kv").method("Request", move |op| {
            let number = {
                let mut count = count.lock();
                *count += 1;
                *count
            };
            answers(i, number, op)
        });
        net.add_server(format!("S{i}"), Server::new([service]));
        let end = net.make_end(format!("C->S{i}"));
        net.connect(&format!("C->S{i}"), &format!("S{i}"));
        net.enable(&format!("C->S{i}"), true);
        end
    });
    let ends = ends.collect();
    (net, Clerk::new(ends))
}

/// A store for [`servers`]. The test keeps a handle on it.
fn committed(store: Store) -> Arc<Mutex<Store>> {
    Arc::new(Mutex::new(store))
}

/// Every request arrives twice, the copy 5 ms later. The answer to the first one is delayed by `late`.
fn double_everything(net: &Network, late: Duration) {
    let answered = AtomicU64::new(0);
    net.intercept(move |letter| match letter.leg {
        Leg::Request => Fate::Duplicate(Duration::from_millis(5)),
        Leg::Reply if answered.swap(letter.call, Relaxed) != letter.call => Fate::Delay(late),
        Leg::Reply => Fate::Deliver,
    });
}

#[test]
fn the_answer_to_the_copy_may_arrive_first() {
    simulated(|| {
        let store = committed(Store::default());
        let (net, mut clerk) = servers(1, move |_, _, op| Ok(store.lock().apply(op)));
        double_everything(&net, Duration::from_millis(100));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "v", 0), Ok(()));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "w", 0), Err(kv::PutError::Version));
        assert_eq!(VersionedClerk::get(&mut clerk, "k"), Some(("v".into(), 1)));
    });
}

/// S0 accepts a put and is deposed before the copy arrives. S1 has committed the put.
#[test]
fn the_copy_may_arrive_at_a_deposed_leader() {
    simulated(|| {
        let store = committed(Store::default());
        let (net, mut clerk) = servers(2, move |server, number, op| {
            match (server, number, &op) {
                (0, 1..=2, Op::OpenSession { .. }) => {}
                (0, 3, _) => {
                    store.lock().apply(op);
                    sleep(Duration::from_millis(100));
                    return Err(NoAnswer::Unknown);
                }
                (0, ..) => return Err(NoAnswer::NotLeader { leader: Some(1) }),
                _ => {}
            }
            Ok(store.lock().apply(op))
        });
        double_everything(&net, Duration::ZERO);
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "v", 0), Ok(()));
        assert_eq!(VersionedClerk::get(&mut clerk, "k"), Some(("v".into(), 1)));
    });
}

/// A put is done. Its answer is so late that its session has expired meanwhile, and the answer to the copy says so first.
#[test]
fn a_client_whose_session_has_expired_does_not_write_again() {
    simulated(|| {
        let store = committed(Store::new(16));
        let copies = store.clone();
        let (net, mut clerk) = servers(1, move |_, number, op| {
            if let (Op::Write { .. }, 3) = (&op, number) {
                let done = copies.lock().apply(op);
                (0..40).for_each(|_| _ = open(&mut copies.lock()));
                return Ok(done);
            }
            Ok(copies.lock().apply(op))
        });
        double_everything(&net, Duration::from_millis(100));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "v", 0), Err(kv::PutError::Maybe));
        assert_eq!(value(&mut store.lock()), Some(("v".into(), 1)));
        assert_eq!(VersionedClerk::put(&mut clerk, "k", "w", 1), Ok(()), "in a new session");
    });
}

/// The session of a client that has written nothing for a while may have expired. The client asks first, so that it knows what will
/// become of its write.
#[test]
fn an_idle_client_goes_on() {
    simulated(|| {
        let store = committed(Store::new(16));
        let idle = store.clone();
        let (_net, mut clerk) = servers(1, move |_, _, op| Ok(idle.lock().apply(op)));
        kv::Clerk::append(&mut clerk, "k", "x");
        sleep(Duration::from_secs(60));
        kv::Clerk::append(&mut clerk, "k", "y"); // in the same session
        (0..40).for_each(|_| _ = open(&mut store.lock()));
        sleep(Duration::from_secs(60));
        kv::Clerk::append(&mut clerk, "k", "z");
        assert_eq!(value(&mut store.lock()), Some(("xyz".into(), 3)));
    });
}
