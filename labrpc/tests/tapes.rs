//! Tapes: a recorded run is the seed's run, a tape gives the same run again, and an edited tape never breaks the simulation.

#![allow(missing_docs, reason = "tests")]
#![allow(clippy::disallowed_types, reason = "what leaves a simulation is kept outside it")]

mod common;

use ::rand::{RngExt, SeedableRng};
use common::succeed;
use labrpc::network::Duplication;
use labrpc::run::{Backend, Outcome, Run};
use labrpc::sync::Mutex;
use labrpc::tape::{Tape, source};
use labrpc::thread::{self, Group, Hiccups};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{Network, Server, Service, rand};
use rand_pcg::Pcg64;
use std::sync::Arc;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Rounds of calls on a bad network to a server with slow threads, which may crash. Returns what arrived, and when it ended.
fn rounds() -> (Vec<u64>, Duration) {
    let network = Network::new();
    network.reliable(false);
    network.duplicate(Some(Duplication { one_in: 3, within: ms(50) }));
    network.delays(ms(0)..ms(20), ms(0)..ms(20));
    let log = Arc::new(Mutex::new(Vec::new()));
    let tester = rand::tester();
    let group = Group::new("S1");
    group.hiccups(Some(Hiccups { one_in: 2, lasting: ms(0)..ms(30) }));
    let puts = log.clone();
    group.enter(|| {
        let put = move |n: u64| {
            let bytes: [u8; 5] = rand::rng().random();
            puts.lock().push(n + u64::from(bytes[0]) + rand::rng().random_range(0..100));
        };
        network.add_server("S1", Server::new([Service::new("Log").method("Put", put)]));
    });
    let end = network.make_end("S0->S1");
    network.connect("S0->S1", "S1");
    network.enable("S0->S1", true);
    let began = Instant::now();
    while began.elapsed() < ms(2000) && tester.more("round") {
        tester.part("round", || {
            let calls = (0..3).filter(|_| tester.optional("call"));
            let callers: Vec<_> = calls
                .map(|n| {
                    let end = end.clone();
                    let pause = tester.millis("before the call", 0..40);
                    thread::spawn(move || {
                        sleep(pause);
                        end.call_timeout::<_, ()>("Log.Put", &(1000 * n), ms(200))
                    })
                })
                .collect();
            callers.into_iter().for_each(|caller| _ = caller.join());
            tester.part("pause", || sleep(tester.millis("pause", 1..100)));
        });
    }
    let seen = log.lock().clone();
    (seen, began.elapsed())
}

/// What two runs have in common that are the same.
fn footprint<R>(outcome: &Outcome<R>) -> (u64, u64, Duration) {
    (outcome.fingerprint, outcome.steps, outcome.lab_time)
}

fn on_both(run: impl Fn() -> Run) -> Outcome<(Vec<u64>, Duration)> {
    let on = |backend| run().backend(backend).run(rounds);
    let (threads, coroutines) = (on(Backend::Threads), on(Backend::Coroutines));
    assert_eq!(footprint(&threads), footprint(&coroutines));
    assert_eq!(threads.tape, coroutines.tape);
    threads
}

#[test]
fn a_recorded_run_is_the_run_of_its_seed_and_its_tape_gives_it_again() {
    for seed in 0..20 {
        let plain = on_both(|| Run::simulated(seed));
        assert!(plain.tape.is_none());
        let recorded = on_both(|| Run::simulated(seed).record());
        assert_eq!(footprint(&recorded), footprint(&plain), "seed {seed}");
        let tape = recorded.tape.clone().unwrap();
        for source in [source::NETWORK, source::TESTER, source::OPTION, source::USER] {
            let starts = |key: &String| key.starts_with(source);
            assert!(tape.parts.iter().any(|part| part.draws.keys().any(starts)), "{source}");
        }
        let played = on_both(|| Run::simulated(seed).tape(tape.clone()));
        assert_eq!(footprint(&played), footprint(&plain), "seed {seed}");
        assert_eq!(played.tape.as_ref(), Some(&tape), "seed {seed}");
        assert_eq!(succeed(played), succeed(plain));
    }
}

fn tape_of(seed: u64) -> Tape {
    Run::simulated(seed).record().run(rounds).tape.unwrap()
}

fn parts(tape: &Tape, label: &str) -> Vec<usize> {
    (0..tape.parts.len()).filter(|&i| tape.parts[i].label == label).collect()
}

#[test]
fn a_part_that_is_removed_is_left_out_and_the_others_keep_their_numbers() {
    let tape = tape_of(1);
    let all = parts(&tape, "round");
    assert!(all.len() > 4, "{} rounds", all.len());
    let mut short = tape.clone();
    all[1..].iter().rev().for_each(|&round| drop(short.parts.drain(short.with_inner(round))));
    let pause = short.parts[parts(&short, "pause")[0]].draws["tester pause"][0];
    let outcome = on_both(|| Run::simulated(1).tape(short.clone()));
    let used = outcome.tape.clone().unwrap();
    assert_eq!(parts(&used, "round").len(), 1);
    assert_eq!(used.parts[parts(&used, "pause")[0]].draws["tester pause"], [pause]);
    let (_, took) = succeed(outcome);
    assert!(took < ms(400), "one round took {took:?}");
    short.parts.truncate(1);
    let (seen, took) = succeed(on_both(|| Run::simulated(1).tape(short.clone())));
    assert!(seen.is_empty() && took < ms(1), "without rounds nothing happens: {seen:?}, {took:?}");
}

#[test]
fn options_that_are_off_are_left_out() {
    let mut tape = tape_of(2);
    for part in &mut tape.parts {
        part.draws.entry("option call".into()).and_modify(|calls| calls.fill(0));
    }
    let (seen, _) = succeed(on_both(|| Run::simulated(2).tape(tape.clone())));
    assert_eq!(seen, []);
}

#[test]
fn numbers_are_brought_into_the_range_of_their_draw() {
    let with = |number: u64| {
        let mut tape = tape_of(3);
        tape.parts.iter_mut().for_each(|part| {
            part.draws.entry("tester pause".into()).and_modify(|list| list.fill(number));
        });
        on_both(|| Run::simulated(3).tape(tape.clone())).tape.unwrap()
    };
    let drawn = |tape: Tape| -> Vec<u64> {
        parts(&tape, "pause").iter().map(|&i| tape.parts[i].draws["tester pause"][0]).collect()
    };
    assert!(drawn(with(0)).iter().all(|pause| *pause == 1));
    assert!(drawn(with(u64::MAX)).iter().all(|pause| *pause == 99));
}

/// Without its numbers, the network loses and delays nothing.
#[test]
fn without_numbers_the_network_is_quiet_and_threads_take_turns() {
    let mut tape = tape_of(4);
    for part in &mut tape.parts {
        part.draws.retain(|key, _| {
            !key.starts_with(source::NETWORK) && !key.starts_with(source::SCHEDULER)
        });
    }
    let outcome = on_both(|| Run::simulated(4).tape(tape.clone()));
    let used = outcome.tape.as_ref().unwrap();
    let draws = used.parts.iter().flat_map(|part| &part.draws);
    for (key, list) in draws.filter(|(key, _)| key.starts_with("net") && !key.contains("cut off")) {
        let quiet = match key.rsplit(' ').next().unwrap() {
            "lost" => 9,
            "doubled" => 2,
            _ => 0,
        };
        assert!(list.iter().all(|number| *number == quiet), "{key}: {list:?}");
    }
    let calls: u64 =
        used.parts.iter().filter_map(|part| part.draws.get("option call")).flatten().sum();
    assert_eq!(succeed(outcome).0.len() as u64, calls, "every call arrives once");
}

#[test]
fn a_tape_that_is_edited_at_random_gives_one_run() {
    let original = tape_of(5);
    let mut dice = Pcg64::seed_from_u64(1);
    for _ in 0..60 {
        let mut tape = original.clone();
        for _ in 0..dice.random_range(1..10) {
            let chosen = dice.random_range(0..tape.parts.len());
            match dice.random_range(0..4) {
                0 if chosen > 0 => drop(tape.parts.drain(tape.with_inner(chosen))),
                1 => tape.parts[chosen].draws.clear(),
                2 => tape.parts[chosen].label = ["round", "pause", "other"][chosen % 3].into(),
                _ => tape.parts[chosen].draws.values_mut().for_each(|list| {
                    list.iter_mut().step_by(3).for_each(|n| *n = dice.random_range(0..200));
                    list.truncate(dice.random_range(0..=list.len()));
                }),
            }
        }
        tape.seed = dice.random();
        let outcome = on_both(|| Run::simulated(5).tape(tape.clone()));
        let print = footprint(&outcome);
        let used = outcome.tape.clone().unwrap();
        let seen = succeed(outcome);
        let again = Run::simulated(5).tape(used.clone()).run(rounds);
        assert_eq!((footprint(&again), again.tape.as_ref()), (print, Some(&used)));
        assert_eq!(succeed(again), seen);
    }
}

#[test]
fn a_tape_whose_parts_are_no_tree_is_refused() {
    let tape = tape_of(6);
    assert_eq!(tape.check(), Ok(()));
    let wrong = |change: &dyn Fn(&mut Tape)| {
        let mut tape = tape.clone();
        change(&mut tape);
        tape.check().unwrap_err()
    };
    assert_eq!(wrong(&|tape| tape.parts.clear()), "it has no parts");
    assert_eq!(wrong(&|tape| tape.parts[0].depth = 1), "part 0 (\"run\") can't have depth 1");
    assert_eq!(wrong(&|tape| tape.parts[1].depth = 0), "part 1 (\"round\") can't have depth 0");
    assert_eq!(wrong(&|tape| tape.parts[2].depth = 3), "part 2 (\"pause\") can't have depth 3");
}

#[test]
fn a_real_run_has_no_tape() {
    let outcome = Run::real(1).record().run(|| rand::tester().optional("it"));
    assert!(outcome.tape.is_none());
    assert!(succeed(outcome));
}
