//! The command over many runs: what it does at a failure, and which runs belong to which shard.

mod running;

use labrpc::api::Make;
use raftlab::raft::Raft;
use rand::RngExt;
use running::command;
use std::collections::BTreeSet;
use std::fs::File;
use tempfile::NamedTempFile;

/// The reference; but about once in `n` runs, a server that panics at its start.
fn failing_once_in(n: u64) -> Make {
    labtests::make(move |peers, me, persister, apply_ch| {
        let unlucky = me == 0 && labrpc::rand::rng().random_range(0..n) == 0;
        assert!(!unlucky, "no luck");
        Raft::make(peers, me, persister, apply_ch)
    })
}

/// The runs in the JSON file that a command writes: test, seed, and whether it passed.
fn runs(make: Make, args: &str) -> (u8, Vec<(String, u64, bool)>) {
    let json = NamedTempFile::new().unwrap();
    let (status, _) = command(make, &format!("{args} --json {}", json.path().display()));
    let results: Vec<serde_json::Value> =
        serde_json::from_reader(File::open(json.path()).unwrap()).unwrap();
    let results = results.iter().filter(|result| result.get("test").is_some());
    let run = |result: &serde_json::Value| {
        let test = result["test"].as_str().unwrap().to_string();
        (test, result["seed"].as_u64().unwrap(), result["passed"].as_bool().unwrap())
    };
    (status, results.map(run).collect())
}

/// The output without the times of the wall clock.
fn but_for_the_clock(output: &str) -> Vec<&str> {
    output.lines().filter(|line| !line.starts_with("in ") && !line.starts_with("2A ")).collect()
}

#[test]
fn fail_fast_ends_at_the_same_failure_with_any_number_of_jobs() {
    let args = "2A --seed 2 --seeds 20 --fail-fast --jobs";
    let (status, one) = runs(failing_once_in(7), &format!("{args} 1"));
    assert_eq!(status, 1);
    let passed: Vec<_> = one.iter().map(|(_, _, passed)| *passed).collect();
    let failed_at = passed.iter().position(|passed| !passed).expect("luck");
    assert!(
        (15..50).contains(&failed_at),
        "{failed_at} passed runs: the first failure should be in the middle"
    );
    assert_eq!(failed_at, passed.len() - 1, "nothing after the first failure");
    for jobs in [2, 4, 16] {
        let again = runs(failing_once_in(7), &format!("{args} {jobs}"));
        assert_eq!(again, (1, one.clone()), "{jobs} jobs");
    }
}

#[test]
fn fail_fast_says_how_many_runs_it_left_out() {
    let (status, one) = command(failing_once_in(7), "2A --seed 2 --seeds 20 --fail-fast --jobs 1");
    assert_eq!(status, 1);
    let passed = one.lines().find_map(|line| line.split_once(" passed, 1 failed, "));
    let (passed, not_run) = passed.unwrap_or_else(|| panic!("no summary in\n{one}"));
    let not_run = not_run.strip_suffix(" not run").unwrap();
    assert_eq!(passed.parse::<u64>().unwrap() + 1 + not_run.parse::<u64>().unwrap(), 60);
    let (_, four) = command(failing_once_in(7), "2A --seed 2 --seeds 20 --fail-fast --jobs 4");
    assert_eq!(but_for_the_clock(&one), but_for_the_clock(&four));
}

#[test]
fn fail_fast_changes_nothing_where_all_is_well() {
    let make = || labtests::make(Raft::make);
    let all = runs(make(), "2A --seeds 5");
    assert_eq!(all.0, 0);
    assert_eq!(all.1.len(), 15);
    assert_eq!(runs(make(), "2A --seeds 5 --fail-fast"), all);
    let (_, output) = command(make(), "2A --seeds 5 --fail-fast");
    assert!(output.contains("15 passed, 0 failed\n"), "{output}");
}

#[test]
fn without_fail_fast_a_failure_ends_nothing() {
    let (status, all) = runs(failing_once_in(7), "2A --seed 2 --seeds 20");
    assert_eq!((status, all.len()), (1, 60));
}

#[test]
fn the_shards_together_are_the_whole() {
    let make = || labtests::make(Raft::make);
    let (_, whole) = runs(make(), "2A basic_agree --seed 7 --seeds 5");
    let mut together = Vec::new();
    for i in 1..=3 {
        let (status, runs) =
            runs(make(), &format!("2A basic_agree --seed 7 --seeds 5 --shard {i}/3"));
        assert_eq!(status, 0);
        assert!((6..=7).contains(&runs.len()), "shard {i} has {} of 20 runs", runs.len());
        together.extend(runs);
    }
    assert_eq!(together.len(), whole.len(), "disjoint");
    assert_eq!(together.into_iter().collect::<BTreeSet<_>>(), whole.into_iter().collect());
}

#[test]
fn a_shard_with_nothing_to_do_is_no_pass() {
    for args in ["rejoin --shard 2/2", "rejoin --shard 2/2 --list", "2A --seeds 2 --shard 5/9"] {
        let (status, output) = command(labtests::make(Raft::make), args);
        assert_eq!((status, output.as_str()), (2, ""), "{args}");
    }
    assert_eq!(command(labtests::make(Raft::make), "rejoin --shard 1/2").0, 0);
}

#[test]
fn the_list_of_a_shard_is_what_it_would_run() {
    let make = || labtests::make(Raft::make);
    let listed = |args: &str| command(make(), args).1.lines().map(String::from).collect::<Vec<_>>();
    let whole = listed("--list");
    let mut together = Vec::new();
    for i in 1..=4 {
        together.extend(listed(&format!("--list --shard {i}/4")));
    }
    assert_eq!(together.len(), whole.len());
    assert!(whole.iter().all(|line| together.contains(line)));
    assert_eq!(listed("--list --seeds 4 --shard 2/4"), whole, "some seed of every test");
}

/// The table at the end and everything after it, without the times of the wall clock.
fn conclusion(output: &str) -> Vec<String> {
    let end = output.lines().skip_while(|line| !line.starts_with("part "));
    let end = end.filter(|line| !line.starts_with("in "));
    let but_for_wall = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().collect();
        if line.starts_with("2A ") {
            words.remove(4);
        }
        words.join(" ")
    };
    end.map(but_for_wall).collect()
}

#[test]
fn an_interrupted_sweep_goes_on_where_it_was() {
    let args = "2A --seed 2 --seeds 20";
    let (status, whole) = command(failing_once_in(7), args);
    assert_eq!(status, 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sweep");
    let args = format!("{args} --fail-fast --jobs 2 --resume {}", file.display());
    let mut sessions = 0;
    let last = loop {
        let (status, output) = command(failing_once_in(7), &args);
        assert_eq!(status, 1);
        sessions += 1;
        if !output.contains(" not run") {
            break output;
        }
        assert!(sessions < 60, "it goes nowhere: {output}");
    };
    assert!(sessions > 3, "nothing was interrupted: {last}");
    assert_eq!(conclusion(&last), conclusion(&whole));
    let (status, again) = command(failing_once_in(7), &args);
    assert_eq!((status, conclusion(&again)), (1, conclusion(&whole)), "nothing is left to do");
    assert!(again.starts_with("resuming after 60 runs\n"), "{again}");
}

#[test]
fn what_was_found_is_told_though_it_cannot_be_written_down() {
    for flag in ["--resume", "--json", "--junit"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        let make = labtests::make(move |peers, me, persister, apply_ch| {
            let _ = std::fs::remove_dir_all(&path);
            Raft::make(peers, me, persister, apply_ch)
        });
        let file = folder.path().join("results");
        let args = format!("initial_election --seeds 3 {flag} {}", file.display());
        let (status, output) = command(make, &args);
        assert_eq!(status, 2, "{output}");
        assert!(
            output.contains("2A   initial_election ") && output.contains("3 passed, 0 failed\n")
        );
    }
}

#[test]
fn a_run_that_was_too_short_says_so() {
    let doubt = |args: &str| {
        let (status, output) = command(labtests::make(Raft::make), args);
        assert_eq!(status, 0, "{output}");
        output.lines().find(|line| line.starts_with("this was ")).map(String::from)
    };
    let one = doubt("initial_election").expect("one seed is too few");
    assert!(one.contains("1 seed: ") && one.contains("80 of 100 such runs miss"), "{one}");
    let ten = doubt("initial_election --seeds 10").expect("ten are too few");
    assert!(ten.contains("10 seeds: ") && ten.contains("11 of 100 such runs miss"), "{ten}");
    assert_eq!(doubt("initial_election --seeds 14"), None);
}

#[test]
fn strict_goes_with_replay() {
    let (status, _) = command(labtests::make(Raft::make), "replay 1 initial_election --strict");
    assert_eq!(status, 0);
}
