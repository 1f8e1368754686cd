//! After a test, none of its threads is left, in either world. This is the only test in its process, because it counts threads.

#![cfg(target_os = "linux")]

use labtests::lab::Lab;
use labtests::runner::{self, World};
use raftlab::raft::Raft;
use std::collections::BTreeSet;

/// The names of this process's threads, by thread ID.
fn threads() -> BTreeSet<(String, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux has /proc");
    let name = |path: std::path::PathBuf| std::fs::read_to_string(path.join("comm")).ok();
    tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let number = task.file_name().to_string_lossy().into_owned();
            Some((number, name(task.path())?.trim().to_string()))
        })
        .collect()
}

#[test]
fn no_thread_outlives_a_test() {
    let lab = Lab::new().raft(Raft::make);
    let before = threads();
    for (name, world) in [
        ("figure_8", World::Simulated),
        ("unreliable_churn", World::Simulated),
        ("snapshot_install_crash", World::Simulated),
        ("persist1", World::Real),
        ("basic_agree", World::Real),
    ] {
        let test = runner::select(name).expect("the lab has it")[0];
        let report = runner::run_one(&lab, test, 1, world);
        assert!(report.result.is_ok(), "{name}: {:?}", report.result);
        let left = left_since(&before);
        assert!(left.is_empty(), "after {name}, {world:?}: {left:?}");
    }
}

/// The threads that weren't there before. A joined thread may still be listed for a moment.
#[expect(clippy::disallowed_methods, reason = "waits for the kernel")]
fn left_since(before: &BTreeSet<(String, String)>) -> Vec<(String, String)> {
    let mut left = Vec::new();
    for _ in 0..500 {
        left = threads().difference(before).cloned().collect();
        if left.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    left
}
