//! The MIT lab's tests of its labrpc, with the same numbers, each in both worlds; and tests of everything else that this labrpc
//! promises.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{alone, failure, in_both_worlds, in_simulations, succeed};
use labrpc::run::{FailureKind, Run};
use labrpc::sync::{Condvar, Mutex};
use labrpc::thread::{self, Group, JoinHandle};
use labrpc::time::{Instant, sleep};
use labrpc::{ClientEnd, Network, Pending, Persister, Server, Service, channel, rand};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// At most this much time is added by the steps of a simulation to the random times of the network.
const STEPS: Duration = Duration::from_micros(500);

/// A network with one server, whose service is the lab's `JunkServer`.
struct Lab {
    network: Network,
    junk: Arc<Junk>,
}

/// What the handlers of `JunkServer` have seen, and whether `Hang` may return.
struct Junk {
    log: Mutex<Vec<i32>>,
    /// How many calls are inside `Hang`, and whether they may return.
    hang: Mutex<(usize, bool)>,
    changed: Condvar,
}

#[derive(Serialize, Deserialize)]
struct JunkArgs {
    x: i32,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct JunkReply {
    x: String,
}

impl Lab {
    fn new() -> Lab {
        let lab = Lab { network: Network::new(), junk: Arc::new(Junk::new()) };
        lab.network.add_server("server", Server::new([Junk::service(&lab.junk)]));
        lab
    }

    /// An end that is connected to the server.
    fn end(&self, name: &str) -> ClientEnd {
        let end = self.cut_off_end(name);
        self.network.enable(name, true);
        end
    }

    fn cut_off_end(&self, name: &str) -> ClientEnd {
        let end = self.network.make_end(name);
        self.network.connect(name, "server");
        end
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.junk.let_go();
        let left = self.network.shutdown(Duration::from_secs(5));
        if !std::thread::panicking() {
            assert!(left.is_empty(), "handlers are left: {left:?}");
        }
    }
}

impl Junk {
    fn new() -> Junk {
        let (log, hang) = (Mutex::new(Vec::new()), Mutex::new((0, false)));
        Junk { log, hang, changed: Condvar::new() }
    }

    fn service(junk: &Arc<Junk>) -> Service {
        let (logs, hangs) = (junk.clone(), junk.clone());
        Service::new("JunkServer")
            .method("Handler1", |text: String| text.parse::<i32>().unwrap_or(-1))
            .method("Handler2", move |n: i32| {
                logs.log.lock().push(n);
                format!("handler2-{n}")
            })
            .method("Handler3", |n: i32| {
                sleep(Duration::from_secs(20));
                -n
            })
            .method("Handler4", |args: Box<JunkArgs>| JunkReply { x: format!("boxed {}", args.x) })
            .method("Handler5", |args: JunkArgs| JunkReply { x: format!("plain {}", args.x) })
            .method("Handler6", |text: String| text.len())
            .method("Handler7", |n: usize| "y".repeat(n))
            .method("Hang", move |(): ()| {
                let mut hang = hangs.hang.lock();
                hang.0 += 1;
                hangs.changed.notify_all();
                hangs.changed.wait_while(&mut hang, |(_, go)| !*go);
            })
    }

    fn let_go(&self) {
        self.hang.lock().1 = true;
        self.changed.notify_all();
    }

    /// Waits until `n` calls are inside `Hang`.
    fn wait_hanging(&self, n: usize) {
        let mut hang = self.hang.lock();
        self.changed.wait_while(&mut hang, |(hanging, _)| *hanging < n);
    }
}

fn handler2(end: &ClientEnd, n: i32) -> bool {
    let reply: Option<String> = end.call("JunkServer.Handler2", &n);
    if let Some(reply) = &reply {
        assert_eq!(reply, &format!("handler2-{n}"), "a reply to another call");
    }
    reply.is_some()
}

fn joined<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

// The lab's own tests.

#[test]
fn basic() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end1-99");
        assert!(handler2(&end, 111));
        assert_eq!(end.call("JunkServer.Handler1", "9099"), Some(9099));
    });
}

#[test]
fn types() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end1-99");
        let boxed = end.call("JunkServer.Handler4", &Box::new(JunkArgs { x: 7 }));
        assert_eq!(boxed, Some(JunkReply { x: "boxed 7".into() }));
        let plain = end.call("JunkServer.Handler5", &JunkArgs { x: 8 });
        assert_eq!(plain, Some(JunkReply { x: "plain 8".into() }));
    });
}

#[test]
fn disconnect() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.cut_off_end("end1-99");
        assert!(!handler2(&end, 111), "answered before it was enabled");
        lab.network.enable("end1-99", true);
        assert_eq!(end.call("JunkServer.Handler1", "9099"), Some(9099));
    });
}

#[test]
fn counts() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end1-99");
        for i in 0..17 {
            assert!(handler2(&end, i));
        }
        assert_eq!((lab.network.count("server"), lab.network.total_count()), (17, 17));
    });
}

#[test]
fn bytes() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end1-99");
        let text = "x".repeat(284);
        for _ in 0..17 {
            assert_eq!(end.call("JunkServer.Handler6", &text), Some(text.len()));
        }
        let sent = lab.network.total_bytes();
        assert!((4828..=6000).contains(&sent), "{sent} bytes for long arguments");
        for _ in 0..17 {
            assert_eq!(end.call("JunkServer.Handler7", &107usize), Some("y".repeat(107)));
        }
        let got = lab.network.total_bytes() - sent;
        assert!((1800..=2500).contains(&got), "{got} bytes for long replies");
    });
}

#[test]
fn concurrent_many() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let client = |i| {
            let end = lab.end(&format!("end-{i}"));
            thread::spawn(move || (0..10).filter(|j| handler2(&end, i * 100 + j)).count())
        };
        let replies = joined((0..20).map(client).collect());
        assert_eq!(replies, [10; 20]);
        assert_eq!(lab.network.count("server"), 200);
    });
}

#[test]
fn unreliable() {
    in_both_worlds(|| {
        let lab = Lab::new();
        lab.network.reliable(false);
        let client = |i| {
            let end = lab.end(&format!("end-{i}"));
            thread::spawn(move || handler2(&end, i * 100))
        };
        let replies = joined((0..300).map(client).collect());
        let some = replies.into_iter().filter(|replied| *replied).count();
        assert!((1..300).contains(&some), "{some} of 300 calls were answered");
    });
}

#[test]
fn concurrent_one() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end");
        let client = |i| {
            let end = end.clone();
            thread::spawn(move || handler2(&end, i))
        };
        assert_eq!(joined((0..20).map(client).collect()), [true; 20]);
        let mut seen = std::mem::take(&mut *lab.junk.log.lock());
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        assert_eq!(lab.network.count("server"), 20);
    });
}

/// Calls that wait because their end was cut off do not delay the next call, for which the end is enabled again.
fn regression1(lab: &Lab) {
    let end = lab.cut_off_end("end");
    let client = |i| {
        let end = end.clone();
        thread::spawn(move || handler2(&end, i))
    };
    let threads = (0..20).map(client).collect();
    sleep(ms(100));

    let begun = Instant::now();
    lab.network.enable("end", true);
    assert!(handler2(&end, 99));
    let took = begun.elapsed();
    assert!(took <= ms(30), "{took:?} for a call on an open end");

    assert_eq!(joined(threads), [false; 20]);
    assert_eq!((&lab.junk.log.lock()[..], lab.network.count("server")), (&[99][..], 1));
}

#[test]
fn regression1_calls_that_wait_delay_nobody() {
    in_both_worlds(|| regression1(&Lab::new()));
    in_simulations(|| {
        let lab = Lab::new();
        lab.network.long_delays(true);
        regression1(&lab);
    });
}

#[test]
fn killed() {
    fn body() {
        let lab = Lab::new();
        let end = lab.end("end1-99");
        let (done, result) = channel::bounded(1);
        thread::spawn(move || {
            let reply: Option<i32> = end.call("JunkServer.Handler3", &99);
            let _ = done.send(reply);
        });
        sleep(ms(1000));
        assert!(result.recv_timeout(ms(100)).is_err(), "returned before the handler did");
        lab.network.delete_server("server");
        assert_eq!(result.recv_timeout(ms(100)), Ok(None), "should return when the server is gone");

        let left = lab.network.shutdown(Duration::ZERO);
        if !labrpc::run::in_simulation() {
            assert_eq!(left, ["test/JunkServer.Handler3"], "the handler still sleeps, for 20 s");
        }
    }
    in_both_worlds(body);
}

#[test]
fn long_delay_race() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.cut_off_end("end");
        let network = lab.network.clone();
        let setter = thread::spawn(move || {
            for i in 0..200 {
                network.long_delays(i % 2 == 0);
                thread::yield_now();
            }
        });
        for i in 0..200 {
            let _given_up: Pending<String> = end.send("JunkServer.Handler2", &i);
        }
        setter.join().unwrap();
        assert!(!handler2(&end, 1));
        assert_eq!(lab.network.total_count(), 201);
    });
}

// How late and how often: the lab's table.

/// How long each of `n` calls of `Handler2` took, and whether it was answered.
fn timed_calls(end: &ClientEnd, n: i32) -> Vec<(Duration, bool)> {
    let call = |i| {
        let begun = Instant::now();
        let replied = handler2(end, i);
        (begun.elapsed(), replied)
    };
    (0..n).map(call).collect()
}

/// Asserts that no sample lies outside `from..to`, that some lie within a hundredth of the range from each end, and that the mean
/// is `mean`, to a twentieth of the range.
#[track_caller]
fn assert_spread(samples: &[Duration], from: Duration, to: Duration, mean: Duration) {
    let (least, most) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
    let all = format!("{} samples, {least:?} to {most:?}", samples.len());
    let edge = (to - from) / 100;
    assert!(from <= least && least <= from + edge + STEPS, "{all}");
    assert!(to - edge <= most && most < to + STEPS, "{all}");
    let found = samples.iter().sum::<Duration>() / samples.len() as u32;
    assert!(found.abs_diff(mean) < (to - from) / 20, "{all}, on average {found:?}");
}

fn cut_off_calls_take(long_delays: bool, at_most: u64) {
    let lab = Lab::new();
    lab.network.long_delays(long_delays);
    let disabled = lab.cut_off_end("disabled");
    let nowhere = lab.network.make_end("nowhere");
    lab.network.connect("nowhere", "nobody");
    lab.network.enable("nowhere", true);
    let unconnected = lab.network.make_end("unconnected");
    lab.network.enable("unconnected", true);
    let dead = lab.end("dead");
    assert!(handler2(&dead, 0));
    lab.network.delete_server("server");
    for end in [disabled, nowhere, unconnected, dead] {
        let calls = timed_calls(&end, 1500);
        assert!(calls.iter().all(|(_, replied)| !replied));
        let times: Vec<_> = calls.into_iter().map(|(time, _)| time).collect();
        assert_spread(&times, Duration::ZERO, ms(at_most), ms(at_most) / 2);
    }
}

#[test]
fn a_cut_off_call_waits_up_to_100_ms() {
    in_simulations(|| cut_off_calls_take(false, 99));
}

#[test]
fn a_cut_off_call_waits_up_to_7_s_with_long_delays() {
    for seed in common::SEEDS {
        let run = Run::simulated(seed).time_limit(Duration::from_secs(30_000));
        succeed(run.run(|| cut_off_calls_take(true, 6999)));
    }
}

#[test]
fn a_reliable_call_takes_two_latencies() {
    in_simulations(|| {
        let lab = Lab::new();
        let calls = timed_calls(&lab.end("end"), 3000);
        assert!(calls.iter().all(|(_, replied)| *replied));
        let latency = labrpc::network::LATENCY;
        let most = calls.iter().map(|(time, _)| *time).max().unwrap();
        assert!((latency * 3 / 2..2 * latency + STEPS).contains(&most), "{most:?}");
    });
}

#[test]
fn an_unreliable_network_delays_requests_and_loses_a_tenth_each_way() {
    in_simulations(|| {
        let lab = Lab::new();
        lab.network.reliable(false);
        let calls = timed_calls(&lab.end("end"), 5000);
        let delivered = lab.junk.log.lock().len();
        assert!((4400..4600).contains(&delivered), "{delivered} of 5000 requests delivered");
        let replied = calls.iter().filter(|(_, replied)| *replied).count();
        let share = replied * 1000 / delivered;
        assert!((880..920).contains(&share), "{replied} of {delivered} requests answered");

        let latency = labrpc::network::LATENCY;
        let (got, lost): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(_, replied)| *replied);
        let times =
            |calls: Vec<(Duration, bool)>| calls.into_iter().map(|c| c.0).collect::<Vec<_>>();
        let (got, lost) = (times(got), times(lost));
        let most = *got.iter().max().unwrap();
        assert!((ms(26) + latency..ms(26) + 2 * latency + STEPS).contains(&most), "{most:?}");
        assert!(*got.iter().min().unwrap() < ms(1), "some are not delayed");
        assert_spread(&lost, Duration::ZERO, ms(26) + latency, (ms(26) + latency) / 2);
    });
}

#[test]
fn long_reordering_holds_two_thirds_of_replies() {
    in_simulations(|| {
        let lab = Lab::new();
        lab.network.long_reordering(true);
        let calls = timed_calls(&lab.end("end"), 3000);
        assert!(calls.iter().all(|(_, replied)| *replied), "late, but never lost");
        let latency = labrpc::network::LATENCY;
        let (late, soon): (Vec<Duration>, Vec<_>) =
            calls.into_iter().map(|(time, _)| time).partition(|time| *time >= ms(200));
        assert!(soon.iter().all(|time| *time < 2 * latency + STEPS));
        assert!((1900..2100).contains(&late.len()), "{} of 3000 are late", late.len());
        // Most delays are short: each is a uniform random number below another uniform random number.
        let (most, all) = (late.iter().max().unwrap(), late.iter().sum::<Duration>());
        assert!((ms(1800)..ms(2199) + 2 * latency + STEPS).contains(most), "{most:?}");
        let mean = all / late.len() as u32;
        assert!((ms(670)..ms(730)).contains(&mean), "{mean:?} on average");
    });
}

// Handlers that hang, servers that go.

#[test]
fn a_hung_call_ends_when_its_way_is_cut() {
    in_both_worlds(|| {
        for cut in ["disable", "delete the server", "replace the server", "delete the end"] {
            let lab = Lab::new();
            let hung: Vec<Pending<()>> = ["a", "b", "c"]
                .map(|name| lab.end(name).send("JunkServer.Hang", &()))
                .into_iter()
                .collect();
            lab.junk.wait_hanging(3);
            match cut {
                "disable" => ["a", "b", "c"].map(|name| lab.network.enable(name, false)),
                "delete the end" => ["a", "b", "c"].map(|name| lab.network.delete_end(name)),
                "delete the server" => [(); 3].map(|()| lab.network.delete_server("server")),
                _ => [(); 3].map(|()| lab.network.add_server("server", Server::new([]))),
            };
            for call in hung {
                let begun = Instant::now();
                assert_eq!(call.wait_timeout(Duration::from_secs(10)), None, "{cut}");
                assert!(begun.elapsed() <= ms(100), "{cut}: the lab allows 100 ms");
            }
        }
    });
}

#[test]
fn a_call_that_is_cut_off_on_its_way_is_not_answered() {
    in_simulations(|| {
        let lab = Lab::new();
        let end = lab.end("end");
        for i in 0..50 {
            lab.network.enable("end", true);
            let call: Pending<String> = end.send("JunkServer.Handler2", &i);
            lab.network.enable("end", false);
            let begun = Instant::now();
            assert_eq!(call.wait(), None, "the reply came on an end that is cut off");
            assert!(begun.elapsed() <= ms(100));
        }
    });
}

#[test]
fn a_hung_handler_delays_nobody() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end");
        let hung: Vec<Pending<()>> = (0..40).map(|_| end.send("JunkServer.Hang", &())).collect();
        lab.junk.wait_hanging(40);
        for i in 0..100 {
            let begun = Instant::now();
            assert!(handler2(&end, i));
            if labrpc::run::in_simulation() {
                assert!(begun.elapsed() < 2 * labrpc::network::LATENCY + STEPS);
            }
        }
        lab.junk.let_go();
        for call in hung {
            assert_eq!(call.wait(), Some(()));
        }
    });
}

#[test]
fn many_calls_hang_and_are_all_answered_at_last() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end");
        let mut sent = 0;
        // Some calls hang, others do not. Each call that hangs takes a thread away from the others.
        for round in 0..20 {
            let _given_up: Pending<()> = end.send("JunkServer.Hang", &());
            sent += 1;
            let some: Vec<Pending<String>> =
                (0..round).map(|i| end.send("JunkServer.Handler2", &i)).collect();
            for (i, call) in some.into_iter().enumerate() {
                assert_eq!(call.wait(), Some(format!("handler2-{i}")));
            }
        }
        lab.junk.wait_hanging(sent);
    });
}

#[test]
fn a_timeout_is_kept() {
    in_both_worlds(|| {
        let lab = Lab::new();
        lab.network.long_delays(true);
        let (open, cut) = (lab.end("open"), lab.cut_off_end("cut"));
        for timeout in [0, 1, 10, 50].map(ms) {
            let begun = Instant::now();
            assert_eq!(open.call_timeout::<_, ()>("JunkServer.Hang", &(), timeout), None);
            let took = begun.elapsed();
            assert!(took >= timeout, "gave up after {took:?}");
            if labrpc::run::in_simulation() {
                assert!(took < timeout + STEPS, "took {took:?}");
            }
            let begun = Instant::now();
            assert_eq!(cut.call_timeout::<_, ()>("JunkServer.Hang", &(), timeout), None);
            if labrpc::run::in_simulation() {
                assert!(begun.elapsed() < timeout + STEPS);
            }
        }
        let long = Duration::from_secs(60);
        let reply: Option<String> = open.call_timeout("JunkServer.Handler2", &5, long);
        assert_eq!(reply.as_deref(), Some("handler2-5"));
    });
}

#[test]
fn a_call_without_a_reply_can_be_selected_with_others() {
    in_both_worlds(|| {
        let lab = Lab::new();
        let end = lab.end("end");
        let hung: Pending<()> = end.send("JunkServer.Hang", &());
        let quick: Pending<String> = end.send("JunkServer.Handler2", &3);
        channel::select! {
            recv(hung) -> _ => panic!("nobody let it go"),
            recv(quick) -> reply => assert_eq!(reply.as_deref(), Some("handler2-3")),
        }
        lab.network.delete_server("server");
        channel::select! {
            recv(hung) -> reply => assert_eq!(reply, None),
            recv(channel::after(Duration::from_secs(10))) -> _ => panic!("should be given up"),
        }
    });
}

// The program's mistakes.

/// Runs `call` against the lab's server in both worlds. It must fail the run with these words.
fn mistake(call: fn(&ClientEnd), words: &[&str]) {
    let body = move || {
        let lab = Lab::new();
        call(&lab.end("end"));
        sleep(Duration::from_secs(1)); // the failure may come from the server's side
    };
    failure(Run::simulated(1).run(body), FailureKind::Panic, words);
    failure(Run::real(1).run(body), FailureKind::Panic, words);
}

#[test]
fn an_unknown_method_fails_the_run_and_names_the_choices() {
    let words = &["JunkServer.Handler9", "server", "JunkServer.Handler1, JunkServer.Handler2"];
    mistake(|end| drop(end.call::<_, String>("JunkServer.Handler9", &1)), words);
}

#[test]
fn an_unknown_service_fails_the_run() {
    mistake(|end| drop(end.call::<_, String>("Trash.Handler1", "1")), &["Trash.Handler1"]);
    mistake(|end| drop(end.call::<_, String>("Handler1", "1")), &["\"Handler1\""]);
}

#[test]
fn arguments_of_another_type_fail_the_run() {
    let words = &["JunkServer.Handler2", "i32"];
    mistake(|end| drop(end.call::<_, String>("JunkServer.Handler2", &(1, 2))), words);
    mistake(|end| drop(end.call::<_, String>("JunkServer.Handler2", &())), words);
}

#[test]
fn a_reply_of_another_type_fails_the_run() {
    let words = &["the reply to JunkServer.Handler2"];
    mistake(|end| _ = end.call::<_, u8>("JunkServer.Handler2", &1), words);
    mistake(|end| drop(end.call::<_, (String, u8)>("JunkServer.Handler2", &1)), words);
}

#[test]
fn a_mistake_fails_the_run_even_if_nobody_waits_for_the_reply() {
    let words = &["JunkServer.Handler9"];
    mistake(|end| drop(end.send::<_, String>("JunkServer.Handler9", &1)), words);
}

#[test]
fn a_handler_that_panics_fails_the_run() {
    let body = || {
        let network = Network::new();
        let service = Service::new("Bad").method("Luck", |(): ()| -> u8 { panic!("of thirteen") });
        network.add_server("server", Server::new([service]));
        let end = network.make_end("end");
        network.connect("end", "server");
        network.enable("end", true);
        assert_eq!(end.call::<_, u8>("Bad.Luck", &()), None);
        sleep(Duration::from_secs(1));
        network.shutdown(Duration::from_secs(5));
    };
    let words = &["of thirteen", "test/Bad.Luck", "tests/lab.rs"];
    failure(Run::simulated(1).run(body), FailureKind::Panic, words);
    failure(Run::real(1).run(body), FailureKind::Panic, words);
}

// Crashes.

#[test]
fn what_a_crashed_server_still_sends_goes_nowhere() {
    in_both_worlds(|| {
        let lab = Lab::new();
        lab.network.long_delays(true);
        let end = lab.end("S0->server");
        assert!(handler2(&end, 1));
        lab.network.delete_end("S0->server");
        for i in 2..10 {
            let begun = Instant::now();
            assert!(!handler2(&end, i));
            if labrpc::run::in_simulation() {
                assert!(
                    begun.elapsed() <= ms(100),
                    "nobody needs to wait for a dead server's calls"
                );
            }
        }
        assert_eq!(lab.junk.log.lock()[..], [1]);
        let again = lab.end("S0->server");
        assert!(
            handler2(&again, 11),
            "the next incarnation has an end of its own with the same name"
        );
        assert!(!handler2(&end, 12), "the old end stays dead");
    });
}

#[test]
fn what_a_crashed_server_still_saves_is_not_seen() {
    in_both_worlds(|| {
        let first = Persister::new();
        first.save_state(&1u64);
        let second = first.succeed();
        let still_alive = thread::spawn(move || {
            first.save_state(&2u64);
            first.append(&3u64);
            first.save(&4u64, labrpc::api::Snapshot::from(vec![5]));
        });
        still_alive.join().unwrap();
        assert_eq!(second.raft_state(), Some(1u64));
        assert_eq!((second.records::<u64>().len(), second.snapshot_size()), (0, 0));
    });
}

#[test]
fn a_server_crashes_between_any_two_statements() {
    let mut half_done = 0;
    for seed in 0..60 {
        half_done += succeed(Run::simulated(seed).run(|| {
            let lab = Lab::new();
            let group = Group::new("S0");
            let persister = Persister::new();
            persister.save_state(&0i32);
            let (end, disk) = (lab.end("S0->server"), persister.clone());
            group.enter(|| {
                thread::spawn(move || {
                    for i in 1.. {
                        handler2(&end, i);
                        disk.save_state(&i);
                    }
                });
            });
            sleep(rand::tester().millis("when", 20..100));
            group.crash();
            assert_eq!(group.alive(), [""; 0]);
            lab.network.delete_end("S0->server");
            let next = persister.succeed();
            let (saved, sent) = (next.raft_state::<i32>().unwrap(), lab.network.total_count());

            sleep(Duration::from_secs(1));
            assert_eq!(next.raft_state(), Some(saved));
            assert_eq!(lab.network.total_count(), sent, "a dead server calls");
            let seen = lab.junk.log.lock().last().copied().unwrap();
            assert!(saved <= seen && seen <= saved + 1, "saved {saved}, sent {seen}");
            u32::from(saved < seen)
        }));
    }
    assert!(half_done > 5, "{half_done} of 60 crashes fell between a call and its save");
}

#[test]
fn a_handler_that_crashes_gives_its_caller_none() {
    in_simulations(|| {
        let lab = Lab::new();
        let group = Group::new("S1");
        let junk = Arc::new(Junk::new());
        group.enter(|| lab.network.add_server("S1", Server::new([Junk::service(&junk)])));
        let end = lab.network.make_end("end");
        lab.network.connect("end", "S1");
        lab.network.enable("end", true);
        let hung: Pending<()> = end.send("JunkServer.Hang", &());
        junk.wait_hanging(1);
        assert_eq!(group.alive(), ["S1/JunkServer.Hang"]);
        group.crash();
        let begun = Instant::now();
        assert_eq!(hung.wait(), None);
        assert!(begun.elapsed() <= ms(100));
    });
}

/// A server object whose destructor needs the simulation.
struct LocksWhenDropped(Arc<Mutex<u32>>);

impl Drop for LocksWhenDropped {
    fn drop(&mut self) {
        let mut drops = self.0.lock();
        thread::yield_now();
        *drops += 1;
    }
}

#[test]
fn a_server_that_a_message_outlives_is_dropped_where_it_may_wait() {
    in_simulations(|| {
        let lab = Lab::new();
        let drops = Arc::new(Mutex::new(0));
        let keeps = LocksWhenDropped(drops.clone());
        let service = Service::new("Server").method("Do", move |(): ()| drop(keeps.0.lock()));
        lab.network.add_server("S1", Server::new([service]));
        let end = lab.network.make_end("end");
        lab.network.connect("end", "S1");
        lab.network.enable("end", true);
        let calls: Vec<Pending<()>> = (0..5).map(|_| end.send("Server.Do", &())).collect();
        lab.network.delete_server("S1");
        let busy = thread::spawn(|| (0..100).for_each(|_| sleep(Duration::from_micros(70))));
        for call in calls {
            assert_eq!(call.wait(), None);
        }
        busy.join().unwrap();
        assert_eq!(*drops.lock(), 1);
    });
}

#[test]
fn a_network_that_a_message_outlives_is_dropped_where_it_may_wait() {
    for seed in common::SEEDS {
        let drops = succeed(Run::simulated(seed).run(|| {
            let drops = Arc::new(Mutex::new(0));
            let keeps = LocksWhenDropped(drops.clone());
            let network = Network::new();
            let service = Service::new("Server").method("Do", move |(): ()| drop(keeps.0.lock()));
            network.add_server("S1", Server::new([service]));
            let end = network.make_end("end");
            network.connect("end", "S1");
            network.enable("end", true);
            let call: Pending<()> = end.send("Server.Do", &());
            drop((network, end));
            call.wait();
            drops
        }));
        assert_eq!(*drops.lock(), 1);
    }
}

// The end.

#[test]
fn after_a_shutdown_every_call_gets_none() {
    in_both_worlds(|| {
        let lab = Lab::new();
        lab.network.long_delays(true);
        let (open, cut) = (lab.end("open"), lab.cut_off_end("cut"));
        let hung: Pending<()> = open.send("JunkServer.Hang", &());
        lab.junk.wait_hanging(1);
        let waits: Pending<String> = cut.send("JunkServer.Handler2", &1);
        let threads = [hung_in_a_thread(&open), hung_in_a_thread(&cut)];
        lab.junk.wait_hanging(2);
        let left = lab.network.shutdown(Duration::ZERO);
        if !labrpc::run::in_simulation() {
            assert_eq!(left, ["test/JunkServer.Hang"; 2]);
        }
        assert_eq!(hung.wait(), None);
        assert_eq!(waits.wait(), None);
        assert_eq!(joined(threads.into()), [None; 2]);
        assert!(!handler2(&open, 1), "what is called later also returns");
    });
}

fn hung_in_a_thread(end: &ClientEnd) -> JoinHandle<Option<()>> {
    let end = end.clone();
    thread::spawn(move || end.call("JunkServer.Hang", &()))
}

/// Uses a network in all the ways that take threads.
fn use_every_thread(lab: &Lab) {
    let (open, cut) = (lab.end("open"), lab.cut_off_end("cut"));
    lab.network.long_reordering(true);
    let calls: Vec<Pending<()>> = (0..10).map(|_| open.send("JunkServer.Hang", &())).collect();
    lab.junk.wait_hanging(10);
    drop(calls);
    for i in 0..100 {
        drop::<Pending<String>>(open.send("JunkServer.Handler2", &i));
        drop::<Pending<String>>(cut.send("JunkServer.Handler2", &i));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn after_a_shutdown_no_thread_is_left() {
    alone("after_a_shutdown_no_thread_is_left", || {
        let before = common::os_threads();
        let used = succeed(Run::real(1).run(|| {
            let lab = Lab::new();
            use_every_thread(&lab);
            common::os_threads()
        }));
        assert!(used > before + 10, "{used} threads, {before} before");
        assert_eq!(common::os_threads(), before);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_threads_of_a_network_that_is_only_dropped_end_by_themselves() {
    alone("the_threads_of_a_network_that_is_only_dropped_end_by_themselves", || {
        let before = common::os_threads();
        let junk = {
            let network = Network::new();
            let junk = Arc::new(Junk::new());
            network.add_server("server", Server::new([Junk::service(&junk)]));
            let end = network.make_end("end");
            network.connect("end", "server");
            network.enable("end", true);
            let cut = network.make_end("cut");
            for _ in 0..10 {
                drop::<Pending<()>>(end.send("JunkServer.Hang", &()));
                drop::<Pending<()>>(cut.send("JunkServer.Hang", &())); // the postman thread ends these calls
            }
            junk.wait_hanging(10);
            junk.let_go();
            junk
        };
        let left = || common::os_threads() > before || Arc::strong_count(&junk) > 1;
        let _ = (0..1000).take_while(|_| left()).map(|_| sleep(ms(10))).count();
        assert!(!left(), "{} threads, {before} before", common::os_threads());
    });
}

#[test]
fn a_network_also_works_outside_a_run() {
    let lab = Lab::new();
    assert!(handler2(&lab.end("end"), 1));
    assert!(!handler2(&lab.cut_off_end("cut"), 2));
}
