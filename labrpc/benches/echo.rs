//! How many 32-byte echoes a second go over the lab's network in real mode, on the path that a Raft's RPCs take.

#![allow(clippy::disallowed_methods, reason = "measures on the wall clock")]

use labrpc::api::Command;
use labrpc::run::Run;
use labrpc::{ClientEnd, Network, Server, Service, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_millis(500);
const RUNS: usize = 7;

fn main() {
    println!("callers   calls/s   (median of {RUNS} runs)");
    for callers in [1, 8, 64] {
        let mut rates: Vec<f64> = (0..RUNS).map(|_| in_a_run(callers)).collect();
        rates.sort_by(f64::total_cmp);
        let (least, median, most) = (rates[0], rates[RUNS / 2], rates[RUNS - 1]);
        println!("{callers:>7} {median:>9.0}   {least:.0} to {most:.0}");
    }
}

fn in_a_run(callers: usize) -> f64 {
    Run::real(1).run(move || run(callers)).result.expect("no call fails")
}

/// Calls a second, all callers together; each has an end of its own.
fn run(callers: usize) -> f64 {
    let network = Network::new();
    let echo = Service::new("Echo").method("Echo", |message: Command| message);
    network.add_server("server", Server::new([echo]));
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let threads: Vec<_> = (0..callers)
        .map(|i| {
            let name = format!("end-{i}");
            let end = network.make_end(name.clone());
            network.connect(&name, "server");
            network.enable(&name, true);
            let over = over.clone();
            thread::spawn(move || call_until(&over, &end))
        })
        .collect();
    thread::sleep(RUN);
    over.store(true, Ordering::Relaxed);
    let calls: u64 = threads.into_iter().map(|thread| thread.join().expect("a caller")).sum();
    let took = begun.elapsed();
    assert_eq!(network.count("server"), calls);
    let left = network.shutdown(Duration::from_secs(5));
    assert!(left.is_empty(), "handlers are left: {left:?}");
    calls as f64 / took.as_secs_f64()
}

fn call_until(over: &AtomicBool, end: &ClientEnd) -> u64 {
    let message = Command::from(vec![7; 32]);
    let mut calls = 0;
    while !over.load(Ordering::Relaxed) {
        let reply: Option<Command> = end.call("Echo.Echo", &message);
        assert_eq!(reply.as_ref(), Some(&message));
        calls += 1;
    }
    calls
}
