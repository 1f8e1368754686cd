//! Runs one cluster of the reference for virtual hours: seven servers with snapshots, in a storm that doesn't end. Neither the
//! time that an hour takes nor the memory must depend on how many hours there were before.
//!
//! ```text
//! cargo bench -p labtests --bench long -- 24
//! ```

use labrpc::run::Run;
use labrpc::time::{Duration, Instant};
use labtests::cluster::{Cluster, Setup, Snapshots};
use labtests::invariants::Watch;
use labtests::reading::Reading;
use labtests::suites::worlds::storm::{Fault, calm, rage};
use raftlab::raft::Raft;
use std::time::Instant as Wall;

const SEED: u64 = 1;

const SETUP: Setup =
    Setup { servers: 7, members: 7, reliable: true, snapshots: Snapshots::EveryTenth };

/// Crashes, cuts and network faults. A storm takes fifteen seconds.
const TROUBLES: [Fault; 4] = [Fault::Crashes, Fault::Partitions, Fault::Loss, Fault::Duplicates];

/// How long it is quiet after a storm, except for two seconds.
const QUIET: Duration = Duration::from_secs(180);

const HOUR: Duration = Duration::from_secs(3600);

#[allow(
    clippy::disallowed_methods,
    reason = "how long a simulated hour takes is measured on the wall clock"
)]
fn main() {
    let hours = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(2);
    let watch = Watch::new(SETUP.servers, true, Reading::default());
    let watched = watch.clone();
    let run = Run::simulated(SEED).time_limit(HOUR * 2 * hours).trace(watch);
    let outcome = run.run(move || {
        let cluster = Cluster::watched(labtests::make(Raft::make), SETUP, watched);
        let mut walls = Vec::new();
        for hour in 1..=hours {
            let (began, wall) = (Instant::now(), Wall::now());
            while began.elapsed() < HOUR {
                rage(&cluster, &TROUBLES, true);
                calm(&cluster);
                cluster.sleep(QUIET);
            }
            let took = wall.elapsed().as_secs_f64();
            let commands = cluster.ledger().lock().max_index();
            println!(
                "hour {hour:>2}: {took:>7.2} s, {commands:>7} commands so far, {} MB",
                resident_mb()
            );
            walls.push(took);
        }
        if let [_, second, .., last] = walls[..] {
            println!("the last hour took {:.2} times what the second took", last / second);
        }
        cluster.finish()
    });
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// How much of this process is in memory, in MB; 0 if that can't be known.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024)
}
