//! What a test may do to single messages: rules that hold, lose, delay and copy them, and the switches that rest on
//! the same steps. Times are virtual, so they are asserted exactly.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::succeed;
use labrpc::run::Run;
use labrpc::time::sleep;
use labrpc::trace::{Event, What};
use labrpc::{ClientEnd, Network, Pending, Server, Service};
use std::sync::{Arc, Mutex};
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
        noted.lock().unwrap().push((word, call));
    };
    succeed(Run::simulated(seed).trace(note).run(body));
    Arc::into_inner(events).unwrap().into_inner().unwrap()
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
