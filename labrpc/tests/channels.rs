//! Channels, `select!` and condition variables. They behave the same in both worlds if no time is involved, and exactly in virtual
//! time otherwise.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{in_both_worlds, in_simulations, succeed};
use labrpc::channel::{
    self, Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError, TrySendError, select,
};
use labrpc::run::{Run, in_simulation};
use labrpc::sync::{Condvar, Mutex};
use labrpc::thread::{self, JoinHandle};
use labrpc::time::{Instant, sleep};
use labrpc::{Network, Pending, Server, Service, sim};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// At most this much time is added by the steps of a simulation.
const STEPS: Duration = Duration::from_micros(200);

/// Asserts that `f` takes this long: exactly this long in a simulation, at least this long in real mode.
#[track_caller]
fn takes<R>(duration: Duration, f: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = f();
    let took = begun.elapsed();
    assert!(took >= duration, "took {took:?}, not {duration:?}");
    assert!(!in_simulation() || took < duration + STEPS, "took {took:?}, not {duration:?}");
    result
}

/// Tries once in a simulation. In real mode, another thread may be late, so it tries for up to ten seconds.
fn soon<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let tries = if in_simulation() { 1 } else { 10_000 };
    (0..tries).find_map(|_| attempt().or_else(|| (sleep(ms(1)), None).1))
}

fn joined<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

// Buffers.

#[test]
fn messages_come_in_order_and_stay_when_senders_go() {
    in_both_worlds(|| {
        for (sender, receiver) in [channel::unbounded(), channel::bounded(100)] {
            (0..100).for_each(|i| sender.send(i).unwrap());
            assert_eq!((receiver.len(), sender.len()), (100, 100));
            drop(sender);
            assert_eq!(receiver.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
            assert!(receiver.recv().is_err());
            assert_eq!(receiver.recv_timeout(ms(1)), Err(RecvTimeoutError::Disconnected));
        }
    });
}

#[test]
fn a_full_channel_makes_senders_wait() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::bounded(2);
        assert_eq!((sender.send(1), sender.try_send(2)), (Ok(()), Ok(())));
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        let timed_out = takes(ms(5), || sender.send_timeout(3, ms(5)));
        assert_eq!(timed_out, Err(SendTimeoutError::Timeout(3)));
        let waits = thread::spawn(move || sender.send(4));
        sleep(ms(2));
        assert!(!waits.is_finished());
        assert_eq!((receiver.recv(), receiver.recv(), receiver.recv()), (Ok(1), Ok(2), Ok(4)));
        waits.join().unwrap().unwrap();
    });
}

#[test]
fn an_empty_channel_makes_receivers_wait() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::unbounded::<u8>();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let timed_out = takes(ms(5), || receiver.recv_timeout(ms(5)));
        assert_eq!(timed_out, Err(RecvTimeoutError::Timeout));
        let late = thread::spawn(move || {
            sleep(ms(5));
            sender.send(7)
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(7));
        late.join().unwrap().unwrap();
    });
}

#[test]
fn a_message_for_nobody_comes_back() {
    in_both_worlds(|| {
        for capacity in [Some(0), Some(1), None] {
            let (sender, receiver) = match capacity {
                Some(capacity) => channel::bounded(capacity),
                None => channel::unbounded(),
            };
            drop(receiver);
            assert_eq!(sender.send("a").unwrap_err().0, "a");
            assert_eq!(sender.try_send("b"), Err(TrySendError::Disconnected("b")));
            let timed = sender.send_timeout("c", ms(1));
            assert_eq!(timed, Err(SendTimeoutError::Disconnected("c")));
            select! {
                send(sender, "d") -> sent => assert_eq!(sent.unwrap_err().0, "d"),
            }
        }
    });
}

#[test]
fn who_waits_learns_that_the_other_side_has_gone() {
    in_both_worlds(|| {
        let waiting_receiver = |receiver: Receiver<u8>| thread::spawn(move || receiver.recv());
        let (sender, receiver) = channel::unbounded();
        let threads = vec![waiting_receiver(receiver.clone()), waiting_receiver(receiver)];
        let (full, full_receiver) = channel::bounded(1);
        full.send(1).unwrap();
        let (offer, offer_receiver) = channel::bounded(0);
        let waiting_sender = |sender: Sender<u8>| thread::spawn(move || sender.send(2));
        let senders = vec![waiting_sender(full.clone()), waiting_sender(offer)];
        sleep(ms(2));
        drop((sender, full_receiver, offer_receiver));
        assert!(joined(threads).iter().all(Result::is_err));
        assert!(joined(senders).iter().all(|sent| sent.is_err_and(|error| error.0 == 2)));
    });
}

#[test]
fn unread_messages_are_dropped_with_the_last_receiver() {
    in_both_worlds(|| {
        let token = Arc::new(());
        let (sender, receiver) = channel::unbounded();
        sender.send(token.clone()).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&token), 1, "crossbeam drops them at once");
        drop(sender);
    });
}

// Rendezvous.

#[test]
fn a_rendezvous_ends_when_both_are_there() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::bounded(0);
        let sends = thread::spawn(move || {
            sender.send(1).unwrap();
            sender
        });
        sleep(ms(5));
        assert!(!sends.is_finished(), "nobody has received");
        assert_eq!(receiver.len(), 0, "a rendezvous holds nothing");
        assert_eq!(receiver.recv(), Ok(1));
        let sender = sends.join().unwrap();

        let receives = thread::spawn(move || receiver.recv());
        sleep(ms(5));
        assert_eq!(soon(|| sender.try_send(2).ok()), Some(()), "a receiver waits for it");
        assert_eq!(receives.join().unwrap(), Ok(2));
    });
}

#[test]
fn a_rendezvous_is_not_tried_with_nobody() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::bounded(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        let timed_out = takes(ms(3), || sender.send_timeout(2, ms(3)));
        assert_eq!(timed_out, Err(SendTimeoutError::Timeout(2)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "it was taken back");
        select! {
            send(sender, 3) -> _ => panic!("nobody receives"),
            default => {}
        }
        takes(ms(3), || {
            select! {
                send(sender, 3) -> _ => panic!("nobody receives"),
                default(ms(3)) => {}
            }
        });
    });
}

#[test]
fn a_waiting_sender_is_found_by_try_recv() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::bounded(0);
        let sends = thread::spawn(move || sender.send(1));
        sleep(ms(5));
        assert_eq!(soon(|| receiver.try_recv().ok()), Some(1));
        sends.join().unwrap().unwrap();
    });
}

#[test]
fn one_receiver_takes_one_message_of_a_rendezvous() {
    for seed in 0..200 {
        succeed(sim::run(seed, || {
            let (sender, receiver) = channel::bounded(0);
            let receives = thread::spawn(move || {
                let got = receiver.recv().unwrap();
                (got, receiver)
            });
            let tries = |i| {
                let sender = sender.clone();
                thread::spawn(move || {
                    sleep(ms(1));
                    sender.try_send(i).map(|()| i)
                })
            };
            let sent: Vec<u32> =
                joined((0..4).map(tries).collect()).into_iter().filter_map(Result::ok).collect();
            let (got, receiver) = receives.join().unwrap();
            assert_eq!(sent, [got]);
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }));
    }
}

/// A `select!` receives only one message, so a second sender that tries another of its arms must fail.
#[test]
fn a_select_takes_one_message_of_two_rendezvous() {
    for seed in 0..200 {
        succeed(sim::run(seed, || {
            let (one, first) = channel::bounded(0);
            let (two, second) = channel::bounded(0);
            let receives = thread::spawn(move || {
                let got = select! {
                    recv(first) -> message => message.unwrap(),
                    recv(second) -> message => message.unwrap(),
                };
                sleep(ms(10));
                (got, first.try_recv().is_ok() || second.try_recv().is_ok())
            });
            sleep(ms(1));
            let sent = [one.try_send(1).is_ok(), two.try_send(2).is_ok()];
            let (got, more) = receives.join().unwrap();
            assert!(!more, "a message waited in a channel that can't hold any");
            assert_eq!(sent, [got == 1, got == 2], "sent {sent:?}, got {got}");
        }));
    }
}

#[test]
fn a_rendezvous_between_two_selects() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::bounded(0);
        let never = channel::never::<u8>();
        let sends = thread::spawn(move || {
            for i in 0..50 {
                select! {
                    send(sender, i) -> sent => sent.unwrap(),
                    recv(never) -> _ => unreachable!("never"),
                }
            }
        });
        let never = channel::never::<u8>();
        for i in 0..50 {
            select! {
                recv(receiver) -> got => assert_eq!(got, Ok(i)),
                recv(never) -> _ => unreachable!("never"),
            }
        }
        sends.join().unwrap();
        assert!(receiver.recv().is_err());
    });
}

#[test]
fn a_thread_does_not_meet_itself() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::bounded(0);
        takes(ms(3), || {
            select! {
                send(sender, 1) -> _ => panic!("sent to itself"),
                recv(receiver) -> _ => panic!("received from itself"),
                default(ms(3)) => {}
            }
        });
        // Two that both send and receive meet each other.
        let meets = |sender: Sender<u8>, receiver: Receiver<u8>| {
            thread::spawn(move || {
                select! {
                    send(sender, 1) -> _ => 's',
                    recv(receiver) -> _ => 'r',
                }
            })
        };
        let both = vec![meets(sender.clone(), receiver.clone()), meets(sender, receiver)];
        let mut met = joined(both);
        met.sort_unstable();
        assert_eq!(met, ['r', 's']);
    });
}

#[test]
fn idle_receivers_of_a_rendezvous_take_no_steps() {
    let outcome = sim::run(1, || {
        let (sender, receiver) = channel::bounded::<u8>(0);
        for _ in 0..2 {
            let (receiver, never) = (receiver.clone(), channel::never::<u8>());
            thread::spawn(move || receiver.recv());
            let receiver = channel::bounded::<u8>(0).1;
            thread::spawn(move || {
                select! {
                    recv(receiver) -> _ => {}
                    recv(never) -> _ => {}
                }
            });
        }
        let (receiver, busy) = (receiver.clone(), sender.clone());
        thread::spawn(move || {
            select! {
                recv(receiver) -> _ => {}
                recv(channel::never::<u8>()) -> _ => {}
            }
        });
        sleep(Duration::from_secs(3600));
        drop(busy);
    });
    assert!(outcome.steps < 100, "{} steps to wait", outcome.steps);
    succeed(outcome);
}

// Clocks.

#[test]
fn after_gives_one_message() {
    in_both_worlds(|| {
        let begun = Instant::now();
        assert_eq!(channel::after(ms(5)).try_recv(), Err(TryRecvError::Empty));
        let (after, at) = takes(ms(5), || {
            let after = channel::after(ms(5));
            let at = after.recv().unwrap();
            (after, at)
        });
        assert!(at - begun >= ms(5));
        assert_eq!(after.recv_timeout(ms(20)), Err(RecvTimeoutError::Timeout));
    });
}

#[test]
fn tick_is_regular_and_does_not_pile_up() {
    in_simulations(|| {
        let tick = channel::tick(ms(10));
        let begun = Instant::now();
        let first = tick.recv().unwrap();
        assert!(first - begun <= ms(10) && begun.elapsed() >= ms(10) - STEPS);
        for i in 1..5 {
            assert_eq!(tick.recv().unwrap() - first, ms(10) * i);
        }
        sleep(ms(95));
        assert_eq!(tick.len(), 1, "it holds one tick");
        assert_eq!(tick.recv().unwrap() - first, ms(50), "the oldest tick that was not received");
    });
    in_both_worlds(|| {
        takes(ms(8), || {
            let tick = channel::tick(ms(2));
            (0..4).for_each(|_| _ = tick.recv());
        });
    });
}

#[test]
fn never_gives_nothing() {
    in_both_worlds(|| {
        let never = channel::never::<u8>();
        assert_eq!(never.try_recv(), Err(TryRecvError::Empty));
        let timed_out = takes(ms(3), || never.recv_timeout(ms(3)));
        assert_eq!(timed_out, Err(RecvTimeoutError::Timeout));
    });
}

// Select.

#[test]
fn a_select_does_exactly_one_of_its_arms() {
    in_both_worlds(|| {
        let (full, filled) = channel::bounded(1);
        let (full_too, filled_too) = channel::bounded(1);
        full.send(0).unwrap();
        for i in 0..100 {
            select! {
                recv(filled) -> message => assert_eq!(message, Ok(i)),
                recv(filled_too) -> message => assert_eq!(message, Ok(i)),
                default => panic!("there is one"),
            }
            assert!(filled.is_empty() && filled_too.is_empty());
            select! {
                send(full, i + 1) -> sent => sent.unwrap(),
                send(full_too, i + 1) -> sent => sent.unwrap(),
            }
            assert_eq!(filled.len() + filled_too.len(), 1);
        }
    });
}

#[test]
fn a_select_keeps_its_time() {
    in_both_worlds(|| {
        let (_sender, receiver) = channel::unbounded::<u8>();
        select! {
            recv(receiver) -> _ => panic!("it is empty"),
            default => {}
        }
        takes(ms(5), || {
            select! {
                recv(receiver) -> _ => panic!("it is empty"),
                default(ms(5)) => {}
            }
        });
        takes(ms(5), || {
            #[rustfmt::skip] // the comma after a block
            select! {
                recv(receiver) -> _ => { panic!("it is empty") },
                recv(channel::after(ms(5))) -> _ => {},
            }
        });
    });
}

#[test]
fn a_disconnected_arm_is_ready() {
    in_both_worlds(|| {
        let (sender, receiver) = channel::unbounded::<u8>();
        drop(sender);
        select! {
            recv(receiver) -> message => assert!(message.is_err()),
            default => panic!("it is known that nothing will come"),
        }
    });
}

#[test]
fn the_seed_chooses_among_ready_arms() {
    let chosen = |seed| {
        succeed(sim::run(seed, || {
            let (sender, one) = channel::bounded(1);
            let (full, two) = channel::bounded(1);
            full.send(()).unwrap();
            select! {
                send(sender, ()) -> _ => 0,
                recv(two) -> _ => 1,
                recv(channel::never::<()>()) -> _ => unreachable!("never"),
                recv(one) -> _ => unreachable!("it is empty"),
            }
        }))
    };
    let all: Vec<i32> = (0..200).map(chosen).collect();
    assert_eq!(all, (0..200).map(chosen).collect::<Vec<_>>());
    let first = all.iter().filter(|&&arm| arm == 0).count();
    assert!((60..140).contains(&first), "the first of two arms {first} times in 200");
}

#[test]
fn an_arm_that_is_woken_for_another_wakes_nobody_less() {
    // Two selects wait for the same message, and each for one of its own.
    for seed in 0..200 {
        succeed(sim::run(seed, || {
            let (common, shared) = channel::unbounded();
            let waiter = |own: Receiver<u8>| {
                let shared = shared.clone();
                thread::spawn(move || {
                    select! {
                        recv(shared) -> message => message.unwrap(),
                        recv(own) -> message => message.unwrap(),
                    }
                })
            };
            let (to_a, own_a) = channel::unbounded();
            let (to_b, own_b) = channel::unbounded();
            let (a, b) = (waiter(own_a), waiter(own_b));
            sleep(ms(1));
            to_a.send(1).unwrap();
            common.send(2).unwrap();
            // The select that is left must find the message that is left.
            let (a, b) = match a.join().unwrap() {
                1 => (1, b.join().unwrap()),
                a => {
                    to_b.send(3).unwrap();
                    (a, b.join().unwrap())
                }
            };
            assert!(matches!((a, b), (1, 2) | (2, 3)), "{a} and {b}");
        }));
    }
}

#[test]
fn many_producers_and_consumers_lose_and_double_nothing() {
    for (capacity, selects) in [(None, false), (Some(1), false), (Some(0), false), (Some(0), true)]
    {
        for seed in 0..20 {
            let run = |run: Run| {
                run.run(move || {
                    let (sender, receiver) = match capacity {
                        Some(capacity) => channel::bounded(capacity),
                        None => channel::unbounded(),
                    };
                    let produce = |p| {
                        let sender = sender.clone();
                        thread::spawn(move || {
                            for i in 0..20 {
                                if selects {
                                    select! { send(sender, p * 100 + i) -> sent => sent.unwrap() }
                                } else {
                                    sender.send(p * 100 + i).unwrap();
                                }
                            }
                        })
                    };
                    let producers: Vec<_> = (0..4).map(produce).collect();
                    let consume = |_| {
                        let receiver = receiver.clone();
                        thread::spawn(move || receiver.iter().collect::<Vec<i32>>())
                    };
                    let consumers: Vec<_> = (0..3).map(consume).collect();
                    drop((sender, receiver));
                    joined(producers);
                    let mut all = joined(consumers).concat();
                    all.sort_unstable();
                    let wanted = (0..4).flat_map(|p| (0..20).map(move |i| p * 100 + i));
                    assert_eq!(all, wanted.collect::<Vec<_>>());
                })
            };
            succeed(run(Run::simulated(seed)));
            if seed == 0 {
                succeed(run(Run::real(seed)));
            }
        }
    }
}

#[test]
fn replies_can_be_selected() {
    in_both_worlds(|| {
        let network = Network::new();
        let service = Service::new("S").method("Echo", |n: u64| n);
        network.add_server("server", Server::new([service]));
        let end = network.make_end("end");
        network.connect("end", "server");
        network.enable("end", true);
        network.long_delays(true);
        let cut = network.make_end("cut");
        for i in 0..20 {
            let answered: Pending<u64> = end.send("S.Echo", &i);
            let waits: Pending<u64> = cut.send("S.Echo", &i);
            let (_sender, receiver) = channel::unbounded::<u8>();
            select! {
                recv(receiver) -> _ => panic!("it is empty"),
                recv(answered) -> reply => assert_eq!(reply, Some(i)),
                recv(waits) -> reply => assert_eq!(reply, None),
            }
        }
        network.shutdown(Duration::from_secs(5));
    });
}

// Condition variables.

#[test]
fn a_timed_wait_is_exact() {
    in_both_worlds(|| {
        let (lock, changed) = (Mutex::new(0), Condvar::new());
        let mut guard = lock.lock();
        for timeout in [ms(1), ms(7), Duration::from_micros(1500)] {
            takes(timeout, || while !changed.wait_for(&mut guard, timeout).timed_out() {});
        }
        let deadline = Instant::now() + ms(5);
        while !changed.wait_until(&mut guard, deadline).timed_out() {}
        assert!(Instant::now() >= deadline);
        *guard += 1; // the lock is held
        assert!(lock.try_lock().is_none());
    });
    in_simulations(|| {
        let (lock, changed) = (Mutex::new(()), Condvar::new());
        let timeout = Duration::from_secs(1000);
        takes(timeout, || assert!(changed.wait_for(&mut lock.lock(), timeout).timed_out()));
    });
}

#[test]
fn a_wait_with_the_longest_timeout_does_not_overflow() {
    in_both_worlds(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let (sender, receiver) = channel::unbounded();
        let (end, ended) = (shared.clone(), sender.clone());
        let notifies = thread::spawn(move || {
            sleep(ms(2));
            *end.0.lock() = true;
            end.1.notify_all();
            ended.send(1).unwrap();
            ended.send(2).unwrap();
        });
        let mut guard = shared.0.lock();
        while !*guard {
            assert!(!shared.1.wait_for(&mut guard, Duration::MAX).timed_out());
        }
        assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(1));
        select! {
            recv(receiver) -> message => assert_eq!(message, Ok(2)),
            recv(channel::after(Duration::MAX)) -> _ => panic!("it is not the end of time"),
            default(Duration::MAX) => panic!("it is not the end of time"),
        }
        notifies.join().unwrap();
    });
}

#[test]
fn a_notice_ends_a_timed_wait() {
    in_both_worlds(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = shared.clone();
        let waiter = thread::spawn(move || {
            let mut set = waits.0.lock();
            while !*set {
                assert!(!waits.1.wait_for(&mut set, Duration::from_secs(600)).timed_out());
            }
        });
        sleep(ms(2));
        *shared.0.lock() = true;
        shared.1.notify_one();
        waiter.join().unwrap();
    });
}

#[test]
fn one_notice_wakes_one_and_all_wakes_all() {
    let mut first = BTreeSet::new();
    for seed in 0..50 {
        first.insert(succeed(sim::run(seed, || {
            let shared = Arc::new((Mutex::new((0, Vec::new())), Condvar::new()));
            let wait = |_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let mut state = shared.0.lock();
                    let came = state.0;
                    state.0 += 1;
                    shared.1.wait(&mut state);
                    state.1.push(came);
                })
            };
            let waiters: Vec<_> = (0..5).map(wait).collect();
            sleep(ms(1));
            shared.1.notify_one();
            sleep(ms(1));
            assert_eq!(shared.0.lock().1.len(), 1);
            shared.1.notify_all();
            joined(waiters);
            shared.0.lock().1[0]
        })));
    }
    assert!(
        first.len() > 2,
        "the seed chooses who is woken, not the order in which they came: {first:?}"
    );
}

#[test]
fn a_timeout_that_was_not_needed_cuts_no_later_wait_short() {
    in_simulations(|| {
        let (sender, receiver) = channel::unbounded();
        let late = thread::spawn(move || {
            for i in 0..3 {
                sleep(ms(1));
                sender.send(i).unwrap();
            }
            sleep(Duration::from_secs(10));
        });
        let (lock, changed) = (Mutex::new(()), Condvar::new());
        assert_eq!(receiver.recv_timeout(ms(10)), Ok(0));
        takes(ms(100) - ms(1), || {
            assert_eq!(receiver.recv_timeout(ms(10)), Ok(1));
            assert_eq!(receiver.recv_timeout(ms(10)), Ok(2));
            takes(ms(20), || sleep(ms(20)));
            takes(ms(30), || receiver.recv_timeout(ms(30)).unwrap_err());
            takes(ms(47), || changed.wait_for(&mut lock.lock(), ms(47)));
        });
        late.join().unwrap();
    });
}
