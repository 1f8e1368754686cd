//! Runs tests: a single one, or a selection under many seeds.

mod backend;
mod cargo;
mod in_order;
mod learn;
mod select;
mod settle;
mod sinks;
mod tapes;

pub use crate::backends::Backends;
pub use crate::limits::TIME_LIMIT;
pub use crate::outcome::{Report, World};
pub use cargo::{cargo_test, check_complete};
pub use in_order::in_order;
pub use select::select;
pub(crate) use select::{selected_by, unknown};
pub use settle::run_read;
pub(crate) use tapes::{Choices, taped};
pub use tapes::{record, replay_tape, replay_tape_told};

use crate::clients::{Texts, Versions};
use crate::cluster::{Cluster, Stats};
use crate::counters::Counters;
use crate::interrupt::Interrupted;
use crate::invariants::{Coverage, Watch};
use crate::lab::Lab;
use crate::reading::Reading;
use crate::story::{Teller, Told};
use crate::suites::{Body, LabTest};
use labrpc::run::{Backend, FailureKind, Logs, Run};
use labrpc::time::{Duration, Instant};
use labrpc::trace::{Event, Sink};
use sinks::{Both, Nobody};
use std::ops::ControlFlow;

/// How long nothing may happen in a test before it fails, see [`Run::patience`]. A cluster that is left alone elects a leader
/// long before that.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one test, which must be one of the [lab's tests](Lab::tests).
pub fn run_one(lab: &Lab, test: &'static LabTest, seed: u64, world: World) -> Report {
    run_read(lab, test, seed, world, &lab.reading).0
}

/// Runs a test in a simulation, and passes what happens to `hear`, in the words of the [story](crate::story), together with the
/// lines that it logs. Messages are read the way [`run_one`] reads them at its end.
pub fn replay_told(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    hear: impl FnMut(&Told) + Send + 'static,
) -> Report {
    let (reading, backend) = settled(lab, test, seed);
    let sink = telling(test, &reading, hear);
    replay_read(lab, test, seed, &reading, backend, sink)
}

/// How the messages of a seed's run are read in the end, and the backend that shows the run.
pub(crate) fn settled(lab: &Lab, test: &'static LabTest, seed: u64) -> (Reading, Backend) {
    let (report, reading) = settle::simulated(lab, test, seed, &lab.reading, Logs::Dropped);
    let failure = report.result.as_ref().err();
    (reading, failure.map_or(Backend::Threads, |failure| backend::to_tell_of(failure)))
}

/// A sink that passes what happens to `hear`, in the words of the [story](crate::story).
fn telling(
    test: &LabTest,
    reading: &Reading,
    mut hear: impl FnMut(&Told) + Send + 'static,
) -> impl Sink {
    let mut teller = Teller::new(test.setup.servers, reading.clone());
    move |event: &Event| teller.tell(event).iter().for_each(&mut hear)
}

/// The same with the events as they are written, and with the given way of reading messages and the given backend.
pub fn replay_read(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &Reading,
    backend: Backend,
    sink: impl Sink,
) -> Report {
    simulate(lab, test, seed, reading, Logs::Traced, backend, sink)
}

fn simulate(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &Reading,
    logs: Logs,
    backend: Backend,
    sink: impl Sink,
) -> Report {
    let run = new_run(seed, World::Simulated).logs(logs).backend(backend);
    run_judged(run, lab, test, seed, reading, sink)
}

/// Does a simulated run while the invariants observe it.
fn run_judged(
    run: Run,
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    reading: &Reading,
    sink: impl Sink,
) -> Report {
    let watch = Watch::new(test.setup.servers, test.expects_saves(), reading.clone());
    run_watched(run, lab, test, seed, World::Simulated, &watch, sink)
}

/// Runs a test while `watch` observes it.
fn run_watched(
    run: Run,
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    world: World,
    watch: &Watch,
    sink: impl Sink,
) -> Report {
    if test.changes_members() {
        watch.members_vary();
    }
    let run = run.trace(Both { sink, watch: watch.clone() });
    let mut report = run_as(run, lab, test, seed, world, watch.clone());
    report.coverage = watch.coverage();
    if let Err(failure) = &mut report.result
        && matches!(failure.kind, FailureKind::TimeLimit | FailureKind::Stuck)
    {
        let all: Vec<_> = (0..test.setup.servers).collect();
        watch.elections(&all).iter().for_each(|odd| failure.message += &format!("\n  {odd}"));
    }
    report
}

/// Runs a test while further watches, one for each reading of the messages, observe the same run. Returns the failure that each
/// of them would have reported. `None` if the course of the test depends on what messages say, because with another reading it
/// would be another run.
pub fn run_beside(
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    readings: &[Reading],
) -> Option<Vec<Option<String>>> {
    let watch =
        |reading: &Reading| Watch::new(test.setup.servers, test.expects_saves(), reading.clone());
    let others: Vec<_> = readings.iter().map(watch).collect();
    let first = watch(&lab.reading).beside(others.clone());
    let run = new_run(seed, World::Simulated).backend(Backend::Coroutines);
    let report = run_watched(run, lab, test, seed, World::Simulated, &first, Nobody);
    let same = !first.was_consulted() && report.result.is_ok();
    same.then(|| others.iter().map(Watch::noted).collect())
}

/// Runs a test without trace and without invariants, to measure what these cost.
pub fn run_unwatched(lab: &Lab, test: &'static LabTest, seed: u64, world: World) -> Report {
    run_as(new_run(seed, world), lab, test, seed, world, Watch::blind(test.setup.servers))
}

fn new_run(seed: u64, world: World) -> Run {
    let run = match world {
        World::Simulated => Run::simulated(seed),
        World::Real => Run::real(seed),
    };
    run.time_limit(TIME_LIMIT).patience(PATIENCE)
}

fn run_as(
    run: Run,
    lab: &Lab,
    test: &'static LabTest,
    seed: u64,
    world: World,
    watch: Watch,
) -> Report {
    let began = Instant::now();
    let lab = lab.clone();
    let strict = lab.strict;
    let outcome = run.run(move || act(lab, test, watch));
    let warning = outcome.warnings.first().filter(|_| strict).cloned().map(Box::new);
    let result = outcome.result.or_else(|failure| match failure.kind {
        FailureKind::GivenUp(why) => Ok(Stats::of_none(test.setup.servers, why)),
        _ => Err(Box::new(failure)),
    });
    let result = result.and_then(|stats| warning.map_or(Ok(stats), Err));
    Report {
        test,
        seed,
        world,
        wall: began.elapsed(),
        lab_time: outcome.lab_time,
        fingerprint: outcome.fingerprint,
        result,
        last_events: Vec::new(),
        standing: Vec::new(),
        coverage: Coverage::default(),
        warnings: outcome.warnings,
        tape: outcome.tape.map(Box::new),
    }
}

/// Runs the body of the test on a cluster of what it tests.
fn act(lab: Lab, test: &LabTest, watch: Watch) -> Stats {
    const MISSING: &str = "the lab has an implementation for each of its tests";
    match test.body {
        Body::Raft(body) => {
            let cluster = Cluster::watched(lab.raft.expect(MISSING), test.setup, watch);
            body(&cluster);
            cluster.finish()
        }
        Body::Beyond(ability, body) => {
            let make = lab.beyond.get(&ability).expect(MISSING).clone();
            let cluster = Cluster::with_members(make, test.setup, watch);
            body(&cluster);
            cluster.finish()
        }
        Body::Store(ability, body) => {
            let make = lab.stores.get(&ability).expect(MISSING).clone();
            let texts = Texts::with_members(make, test.setup, watch);
            body(&texts);
            texts.finish()
        }
        Body::Kv(body) => {
            let texts = Texts::new(lab.kv.expect(MISSING), test.setup, watch);
            body(&texts);
            texts.finish()
        }
        Body::Rsm(body) => {
            let counters = Counters::new(lab.rsm.expect(MISSING), test.setup, watch);
            body(&counters);
            counters.finish()
        }
        Body::Versioned(body) => {
            let versions = Versions::new(lab.versioned.expect(MISSING), test.setup, watch);
            body(&versions);
            versions.finish()
        }
        Body::Once(body) => {
            let versions = Versions::new(lab.once.expect(MISSING), test.setup, watch);
            body(&versions);
            versions.finish()
        }
    }
}

/// Does all of `work`, `jobs` pieces at a time, and passes each report to `each`, in the order of `work`. After a `Break` it
/// starts nothing more and returns when the running pieces have ended; their reports are not passed to `each`.
///
/// If the process is [asked to end](crate::interrupt::asked), this returns at once. The running pieces go on although nobody
/// takes their results, so the process should end soon.
pub fn run_all(
    lab: &Lab,
    work: impl Iterator<Item = (&'static LabTest, u64)> + Send + 'static,
    world: World,
    jobs: usize,
    each: impl FnMut(Report) -> ControlFlow<()>,
) -> Option<Interrupted<Report>> {
    let lab = lab.clone();
    in_order(work, jobs, move |(test, seed)| run_one(&lab, test, seed, world), each)
}
