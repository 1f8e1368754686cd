//! What a test may do to single messages: rules that hold, lose, delay and copy them, and the switches that use the same
//! steps. Times are virtual, so the tests assert them exactly.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::{alone, in_both_worlds, in_simulations, os_threads, succeed};
use labrpc::network::{Duplication, Fate, LATENCY, Leg};
use labrpc::run::Run;
use labrpc::time::{Instant, sleep};
use labrpc::trace::{Event, What};
use labrpc::{ClientEnd, Network, Pending, Server, Service};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The events of a run, each as a word and its call's number.
fn events_of(seed: u64, body: impl FnOnce() + Send + 'static) -> Vec<(&'static str, u64)> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let noted = events.clone();
    let note = move |event: &Event| {
        let (word, call) = match &event.what {
            What::Called { call, .. } => ("called", *call),
            What::Delivered { call, .. } => ("delivered", *call),
            What::Answered { call, .. } => ("answered", *call),
            What::Returned { call, .. } => ("returned", *call),
            What::Lost { call, why, .. } => (*why, *call),
            _ => return,
        };
        noted.lock().push((word, call));
    };
    succeed(Run::simulated(seed).trace(note).run(body));
    Arc::into_inner(events).unwrap().into_inner()
}

/// A network with a server that takes ten milliseconds to double a number, and an end to it.
fn doubler() -> (Network, ClientEnd) {
    let network = Network::new();
    add_doubler(&network);
    let end = network.make_end("a->b");
    network.connect("a->b", "b");
    network.enable("a->b", true);
    (network, end)
}

fn add_doubler(network: &Network) {
    let double = |x: u64| {
        sleep(ms(10));
        2 * x
    };
    network.add_server("b", Server::new([Service::new("S").method("Double", double)]));
}

fn double(end: &ClientEnd, x: u64) -> Pending<u64> {
    end.send("S.Double", &x)
}

/// The result of `f`, and how long it takes.
fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = f();
    (result, start.elapsed())
}

/// At most this much time is added by the steps of a simulation to the random times of the network.
const STEPS: Duration = Duration::from_micros(100);

/// Asserts that a call took as long as its handler, plus both ways, plus `more`.
#[track_caller]
fn assert_took(took: Duration, more: Range<Duration>) {
    let (least, most) = (ms(10) + more.start, ms(10) + 2 * LATENCY + STEPS + more.end);
    assert!(least <= took && took <= most, "{took:?} is not within {least:?}..{most:?}");
}

const NONE: Range<Duration> = Duration::ZERO..Duration::ZERO;

#[test]
fn an_answer_counts_though_its_caller_is_cut_off() {
    let events = events_of(1, || {
        let (network, end) = doubler();
        let call = double(&end, 1);
        sleep(ms(5));
        network.enable("a->b", false);
        assert_eq!(call.wait(), None);
        sleep(ms(20));
    });
    let cut = "cut off while the handler ran";
    assert_eq!(events, [("called", 1), ("delivered", 1), (cut, 1), ("answered", 1)]);
}

#[test]
fn a_server_that_is_gone_has_answered_nothing() {
    let events = events_of(1, || {
        let (network, end) = doubler();
        let call = double(&end, 1);
        sleep(ms(5));
        network.delete_server("b");
        assert_eq!(call.wait(), None);
        sleep(ms(20));
    });
    let cut = "cut off while the handler ran";
    assert_eq!(events, [("called", 1), ("delivered", 1), (cut, 1)]);
}

#[test]
fn a_rule_sees_every_message_in_words() {
    in_simulations(|| {
        let (network, end) = doubler();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        network.intercept(move |letter| {
            noted.lock().push((letter.leg, letter.to_string()));
            Fate::Deliver
        });
        let (reply, took) = timed(|| double(&end, 21).wait());
        assert_eq!(reply, Some(42));
        assert_took(took, NONE);
        network.enable("a->b", false);
        assert_eq!(double(&end, 1).wait(), None); // it is not sent, so the rule is not asked
        network.enable("a->b", true);
        network.no_intercept();
        assert_eq!(double(&end, 2).wait(), Some(4));
        let request = (Leg::Request, "a->b #1 S.Double 21".to_string());
        let reply = (Leg::Reply, "a->b #1 S.Double 21 is answered 42".to_string());
        assert_eq!(*seen.lock(), [request, reply]);
    });
}

#[test]
fn a_rule_comes_too_late_for_the_arguments_of_calls_under_way() {
    in_simulations(|| {
        let (network, end) = doubler();
        let call = double(&end, 21);
        network.intercept(|_| Fate::Hold);
        sleep(ms(20));
        let held: Vec<_> = network.held().iter().map(ToString::to_string).collect();
        assert_eq!(held, ["a->b #1 S.Double () is answered 42"]);
        network.release(|_| true);
        assert_eq!(call.wait(), Some(42));
    });
}

/// Makes one call under a rule for one leg. Returns the reply, how long the call took, and how many calls reached the server.
fn under(leg: Leg, fate: Fate) -> (Option<u64>, Duration, u64) {
    let (network, end) = doubler();
    network.intercept(move |letter| if letter.leg == leg { fate } else { Fate::Deliver });
    let (reply, took) = timed(|| double(&end, 1).wait());
    sleep(ms(100));
    (reply, took, network.count("b"))
}

#[test]
fn a_lost_message_is_noticed_as_soon_as_it_would_arrive() {
    in_simulations(|| {
        let (reply, took, handled) = under(Leg::Request, Fate::Drop);
        assert_eq!((reply, handled), (None, 0));
        assert!(took <= LATENCY + STEPS, "{took:?}");
        let (reply, took, handled) = under(Leg::Reply, Fate::Drop);
        assert_eq!((reply, handled), (None, 1));
        assert_took(took, NONE);
    });
}

#[test]
fn a_delayed_message_is_so_much_later() {
    in_simulations(|| {
        for leg in [Leg::Request, Leg::Reply] {
            let (reply, took, handled) = under(leg, Fate::Delay(ms(50)));
            assert_eq!((reply, handled), (Some(2), 1));
            assert_took(took, ms(50)..ms(50));
        }
    });
}

#[test]
fn a_copied_request_is_handled_twice_and_answered_once() {
    in_simulations(|| {
        let (reply, took, handled) = under(Leg::Request, Fate::Duplicate(ms(5)));
        assert_eq!((reply, handled), (Some(2), 2));
        assert_took(took, NONE);
        let (reply, _, handled) = under(Leg::Reply, Fate::Duplicate(ms(5)));
        assert_eq!((reply, handled), (Some(2), 1));
    });
}

#[test]
fn copies_of_a_call_tell_one_story() {
    let events = events_of(1, || {
        let (network, end) = doubler();
        network.intercept(|_| Fate::Duplicate(ms(5)));
        assert_eq!(double(&end, 1).wait(), Some(2));
        sleep(ms(50));
    });
    let words: Vec<_> = events.iter().map(|(word, _)| *word).collect();
    let (mut first, second) = (vec!["called", "delivered", "delivered"], ["answered"; 2]);
    first.extend(second);
    first.insert(4, "returned");
    assert_eq!(words, first);
}

#[test]
fn while_a_copy_is_under_way_there_is_hope() {
    let events = events_of(1, || {
        let (network, end) = doubler();
        let replies = AtomicU64::new(0);
        network.intercept(move |letter| match letter.leg {
            Leg::Request => Fate::Duplicate(ms(5)),
            Leg::Reply if replies.fetch_add(1, Relaxed) == 0 => Fate::Drop,
            Leg::Reply => Fate::Deliver,
        });
        let (reply, took) = timed(|| double(&end, 1).wait());
        assert_eq!(reply, Some(2));
        assert_took(took, ms(5)..ms(5));
        network.intercept(|letter| match letter.leg {
            Leg::Request => Fate::Duplicate(ms(5)),
            Leg::Reply => Fate::Drop,
        });
        let (reply, took) = timed(|| double(&end, 1).wait());
        assert_eq!(reply, None);
        assert_took(took, ms(5)..ms(5));
    });
    let lost: Vec<_> = events.into_iter().filter(|(word, _)| *word == "a rule loses it").collect();
    assert_eq!(lost, [("a rule loses it", 2)], "lost once, when no other copy was left");
}

#[test]
fn a_copy_that_is_cut_off_with_its_handler_is_given_up_once() {
    let events = events_of(1, || {
        let (network, end) = doubler();
        network.intercept(|_| Fate::Duplicate(ms(3)));
        let call = double(&end, 1);
        sleep(ms(8)); // both are with a handler
        assert_eq!(network.count("b"), 2);
        network.enable("a->b", false);
        assert_eq!(call.wait(), None);
        sleep(ms(20));
    });
    let lost = events.iter().filter(|(word, _)| *word == "cut off while the handler ran").count();
    assert_eq!(lost, 1);
}

#[test]
fn held_messages_wait_for_their_release_in_order() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.intercept(|letter| match letter.leg {
            Leg::Request => Fate::Hold,
            Leg::Reply => Fate::Deliver,
        });
        let calls: Vec<_> = (1..=4).map(|x| double(&end, x)).collect();
        sleep(ms(1000));
        let held: Vec<_> = network.held().iter().map(|letter| letter.args.as_u64()).collect();
        assert_eq!(held, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(network.count("b"), 0);
        let odd = |n: Option<u64>| n.is_some_and(|n| n % 2 == 1);
        assert_eq!(network.release(|letter| odd(letter.args.as_u64())), 2);
        assert_eq!(network.discard(|letter| letter.args.as_u64() == Some(4)), 1);
        assert_eq!(network.held().len(), 1);
        let mut calls = calls.into_iter();
        let mut next = || timed(|| calls.next().unwrap().wait());
        let (reply, took) = next();
        assert_eq!(reply, Some(2));
        assert!(ms(10) <= took && took <= ms(10) + LATENCY + STEPS, "{took:?}"); // no latency on the way there
        network.no_intercept();
        sleep(ms(20));
        assert_eq!(network.release(|_| true), 1, "messages that are held stay held");
        assert_eq!((next().0, next().0, next().0), (Some(4), Some(6), None));
        assert_eq!(network.release(|_| true), 0);
    });
}

#[test]
fn released_messages_arrive_in_order() {
    for seed in 1..6 {
        let events = events_of(seed, || {
            let (network, end) = doubler();
            network.intercept(|_| Fate::Hold);
            let calls: Vec<_> = (0..10).map(|x| double(&end, x)).collect();
            network.no_intercept();
            network.release(|_| true);
            assert!(calls.into_iter().all(|call| call.wait().is_some()));
        });
        let arrived = events.into_iter().filter(|(word, _)| *word == "delivered");
        assert!(arrived.map(|(_, call)| call).eq(1..=10));
    }
}

#[test]
fn a_held_request_outlives_its_sender() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.intercept(|_| Fate::Hold);
        let call = double(&end, 1);
        network.delete_end("a->b");
        let (reply, took) = timed(|| call.wait());
        assert_eq!((reply, network.held().len()), (None, 1));
        assert!(took <= STEPS, "{took:?}");
        assert_eq!(network.release(|_| true), 1);
        sleep(ms(20));
        assert_eq!((network.count("b"), network.held().len()), (1, 0));
    });
}

#[test]
fn a_held_request_reaches_the_next_incarnation_or_nobody() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.intercept(|letter| match letter.leg {
            Leg::Request => Fate::Hold,
            Leg::Reply => Fate::Deliver,
        });
        let first = double(&end, 1);
        let second = double(&end, 2);
        network.delete_server("b");
        network.release(|letter| letter.args.as_u64() == Some(1));
        assert_eq!(first.wait(), None);
        add_doubler(&network);
        network.release(|_| true);
        assert_eq!(second.wait(), Some(4));
    });
}

#[test]
fn whether_its_end_is_cut_off_matters_when_a_held_request_arrives() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.intercept(|letter| match letter.leg {
            Leg::Request => Fate::Hold,
            Leg::Reply => Fate::Deliver,
        });
        let (first, second) = (double(&end, 1), double(&end, 2));
        network.enable("a->b", false);
        network.release(|letter| letter.args.as_u64() == Some(1));
        assert_eq!(first.wait(), None);
        assert_eq!(network.count("b"), 1, "it was handled");
        network.enable("a->b", true);
        network.release(|_| true);
        assert_eq!(second.wait(), Some(4));
    });
}

#[test]
fn a_held_reply_arrives_though_the_server_is_gone_and_the_end_cut_off() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.intercept(|letter| match letter.leg {
            Leg::Request => Fate::Deliver,
            Leg::Reply => Fate::Hold,
        });
        let call = double(&end, 1);
        sleep(ms(20));
        network.delete_server("b");
        network.enable("a->b", false);
        sleep(ms(1000));
        assert_eq!(network.release(|letter| letter.leg == Leg::Reply), 1);
        assert_eq!(call.wait(), Some(2));
    });
}

/// Duplicates arrive less than this time after the first copy.
const WITHIN: Duration = ms(5);

#[test]
fn duplicates_come_a_little_later() {
    in_simulations(|| {
        let network = Network::new();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let noted = arrivals.clone();
        let note = move |(): ()| noted.lock().push(Instant::now());
        network.add_server("b", Server::new([Service::new("S").method("Note", note)]));
        let end = network.make_end("end");
        network.connect("end", "b");
        network.enable("end", true);
        network.duplicate(Some(Duplication { one_in: 1, within: WITHIN }));
        let mut gaps = Vec::new();
        for _ in 0..50 {
            assert_eq!(end.call("S.Note", &()), Some(()));
            sleep(ms(20));
            let arrived = std::mem::take(&mut *arrivals.lock());
            assert_eq!(arrived.len(), 2);
            gaps.push(arrived[1].saturating_duration_since(arrived[0]));
        }
        assert!(gaps.iter().all(|gap| *gap < WITHIN + STEPS), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap > WITHIN / 2), "{gaps:?}");
        assert_eq!((network.total_count(), network.count("b")), (50, 100));
        network.duplicate(Some(Duplication { one_in: 4, within: WITHIN }));
        (0..400).for_each(|_| assert_eq!(end.call("S.Note", &()), Some(())));
        sleep(ms(20));
        let again = network.count("b") - 100 - 400;
        assert!((60..140).contains(&again), "one in four of 400 should arrive twice, not {again}"); // 4.6 sigma
        network.duplicate(None);
        let before = network.count("b");
        (0..10).for_each(|_| assert_eq!(end.call("S.Note", &()), Some(())));
        sleep(ms(20));
        assert_eq!(network.count("b") - before, 10);
    });
}

#[test]
fn delays_hold_for_all_ends_and_for_one() {
    in_simulations(|| {
        let (network, end) = doubler();
        let other = network.make_end("c->b");
        network.connect("c->b", "b");
        network.enable("c->b", true);
        let took = |end: &ClientEnd| {
            let (reply, took) = timed(|| double(end, 1).wait());
            assert_eq!(reply, Some(2));
            took
        };
        network.delays(ms(30)..ms(30), ms(100)..ms(200));
        network.delay_end("c->b", ms(0)..ms(0), ms(1000)..ms(1000));
        for _ in 0..20 {
            assert_took(took(&end), ms(130)..ms(230));
            assert_took(took(&other), ms(1130)..ms(1230));
        }
        network.delays(NONE, NONE);
        assert_took(took(&end), NONE);
        assert_took(took(&other), ms(1000)..ms(1000));
        network.delay_end("c->b", NONE, NONE);
        assert_took(took(&other), NONE);
    });
}

#[test]
fn delayed_requests_overtake_one_another() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.delays(ms(0)..ms(100), NONE);
        network.intercept(|letter| match letter.leg {
            Leg::Request => Fate::Deliver,
            Leg::Reply => Fate::Hold,
        });
        let calls: Vec<_> = (0..20).map(|x| double(&end, x)).collect();
        sleep(ms(150));
        let order: Vec<_> = network.held().iter().filter_map(|l| l.args.as_u64()).collect();
        assert_eq!(order.len(), 20);
        assert!(!order.is_sorted(), "{order:?}");
        network.release(|_| true);
        assert!(calls.into_iter().all(|call| call.wait().is_some()));
    });
}

#[test]
fn a_delayed_request_finds_the_next_incarnation_a_usual_one_does_not() {
    in_simulations(|| {
        let (network, end) = doubler();
        let usual = double(&end, 1);
        network.delays(ms(50)..ms(50), NONE);
        let delayed = double(&end, 2);
        network.delete_server("b");
        add_doubler(&network);
        assert_eq!((usual.wait(), delayed.wait()), (None, Some(4)));
    });
}

#[test]
fn one_way_cuts_lose_one_leg() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.lose_requests("a->b", true);
        let (reply, took) = timed(|| double(&end, 1).wait());
        assert_eq!((reply, network.count("b")), (None, 0));
        assert!(took < ms(100) + STEPS, "{took:?}");
        network.lose_requests("a->b", false);
        assert_eq!(double(&end, 1).wait(), Some(2));

        network.lose_replies("a->b", true);
        let (reply, took) = timed(|| double(&end, 1).wait());
        assert_eq!((reply, network.count("b")), (None, 2), "it was handled");
        assert!(ms(10) <= took && took < ms(110) + LATENCY + STEPS, "{took:?}");
        network.lose_replies("a->b", false);
        assert_eq!(double(&end, 1).wait(), Some(2));
    });
}

#[test]
fn whom_a_one_way_cut_concerns_waits_as_if_cut_off() {
    in_simulations(|| {
        let (network, end) = doubler();
        network.long_delays(true);
        network.lose_requests("a->b", true);
        let waits: Vec<_> = (0..20).map(|_| timed(|| double(&end, 1).wait()).1).collect();
        assert!(waits.iter().all(|took| *took < ms(7000) + STEPS), "{waits:?}");
        assert!(waits.iter().any(|took| *took > ms(3000)), "{waits:?}");
    });
}

/// Forty calls on a network with everything switched on.
fn everything_on() {
    let (network, end) = doubler();
    network.reliable(false);
    network.long_reordering(true);
    network.duplicate(Some(Duplication { one_in: 3, within: ms(200) }));
    network.delays(ms(0)..ms(100), ms(0)..ms(1000));
    network.delay_end("a->b", ms(0)..ms(10), ms(0)..ms(10));
    network.intercept(|letter| match letter.call % 5 {
        0 => Fate::Hold,
        1 => Fate::Duplicate(ms(300)),
        2 => Fate::Delay(ms(30)),
        _ => Fate::Deliver,
    });
    let calls: Vec<_> = (0..40).map(|x| double(&end, x)).collect();
    sleep(ms(500));
    network.lose_replies("a->b", true);
    network.no_intercept();
    network.release(|_| true);
    for (x, call) in (0..).zip(calls) {
        assert!(call.wait().is_none_or(|reply| reply == 2 * x));
    }
    assert_eq!(network.shutdown(Duration::from_secs(5)), Vec::<String>::new());
}

#[test]
fn the_same_seed_is_the_same_run_with_everything_on() {
    let run = |seed, traced| {
        let run = Run::simulated(seed);
        let run = if traced { run.trace(|_: &Event| {}) } else { run };
        let outcome = run.run(everything_on);
        let (fingerprint, steps) = (outcome.fingerprint, outcome.steps);
        succeed(outcome);
        (fingerprint, steps)
    };
    for seed in 1..10 {
        assert_eq!(run(seed, false), run(seed, true), "seed {seed}");
    }
    assert_ne!(run(1, false), run(2, false));
}

#[test]
fn everything_on_works_in_both_worlds() {
    in_both_worlds(everything_on);
}

#[test]
fn a_rule_holds_and_releases_on_real_threads_and_leaves_none() {
    alone("a_rule_holds_and_releases_on_real_threads_and_leaves_none", || {
        let before = os_threads();
        succeed(Run::real(1).time_limit(Duration::from_secs(60)).run(|| {
            let (network, end) = doubler();
            network.intercept(|_| Fate::Hold);
            let request = double(&end, 1);
            let is_held = |letters: usize| {
                while network.held().len() < letters {
                    sleep(ms(1));
                }
            };
            is_held(1);
            assert_eq!(network.release(|letter| letter.args.as_u64() == Some(1)), 1);
            is_held(1);
            assert_eq!(network.release(|letter| letter.leg == Leg::Reply), 1);
            assert_eq!(request.wait(), Some(2));

            // A caller that waits for a held message gets `None` when the network ends.
            let (first, second) = (double(&end, 1), double(&end, 2));
            is_held(2);
            assert_eq!(network.shutdown(Duration::from_secs(5)), Vec::<String>::new());
            assert_eq!((first.wait(), second.wait()), (None, None));
        }));
        assert_eq!(os_threads(), before);
    });
}
