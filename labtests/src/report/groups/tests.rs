use super::*;
use crate::invariants::Coverage;
use crate::report::Again;
use crate::runner::{World, select};

/// A failed run of a test.
pub fn failed(test: &str, seed: u64, kind: FailureKind, message: &str) -> Report {
    let at = Duration::from_millis(100 * seed);
    let failure = Failure {
        kind,
        message: message.into(),
        thread: "S1/ticker".into(),
        at,
        since: None,
        seed,
        place: None,
        backtrace: None,
        simulated: true,
    };
    Report {
        test: select(test).unwrap()[0],
        seed,
        world: World::Simulated,
        wall: Duration::from_millis(5),
        lab_time: at,
        fingerprint: 0,
        result: Err(Box::new(failure)),
        last_events: vec![format!("the last event of seed {seed}")],
        standing: Vec::new(),
        tape: None,
        coverage: Coverage::default(),
        warnings: Vec::new(),
    }
}

fn at(place: &str, mut report: Report) -> Report {
    report.result =
        report.result.map_err(|failure| Failure { place: Some(place.into()), ..*failure }.into());
    report
}

fn add(groups: &mut Groups, report: &Report) -> Option<usize> {
    groups.add(report, report.result.as_ref().unwrap_err())
}

fn text(groups: &Groups, width: Option<usize>) -> String {
    let again = Again::Command("raftlab".into());
    groups.text(Runs { again: &again, world: World::Simulated, is_sweep: true }, width)
}

#[test]
fn kind_place_and_pattern_tell_groups_apart() {
    let mut groups = Groups::default();
    let mut number = |kind, place: &str, message: &str| {
        let report = at(place, failed("backup", 7, kind, message));
        add(&mut groups, &report).unwrap()
    };
    let panic = FailureKind::Panic;
    assert_eq!(number(panic, "raft.rs:7", "index 3 is out of range"), 1);
    assert_eq!(number(panic, "raft.rs:7", "index 14 is out of range\n  more"), 1, "another number");
    assert_eq!(number(panic, "raft.rs:8", "index 3 is out of range"), 2, "another place");
    assert_eq!(number(panic, "raft.rs:7", "index 3 is not there"), 3, "another message");
    assert_eq!(number(FailureKind::Stranger, "raft.rs:7", "index 3 is out of range"), 4);
    let message = "no leader among 3 connected servers after 5 s: S0 is in term 3";
    assert_eq!(number(FailureKind::Test, "election.rs:1", message), 5);
    assert_eq!(number(FailureKind::Test, "log.rs:9", message), 5, "a check that two tests call");
}

#[test]
fn a_property_is_part_of_the_key_and_stands_before_the_message() {
    let mut groups = Groups::default();
    add(&mut groups, &failed("backup", 1, FailureKind::Test, "S0 and S1 both lead term 2"));
    groups.groups[0].key.property = Some("Election Safety".into());
    let report = failed("backup", 2, FailureKind::Test, "S0 and S1 both lead term 2");
    assert_eq!(add(&mut groups, &report), Some(2));
    assert!(text(&groups, None).contains("failure 1, 1 run: Election Safety: S0 and S1 both lead"));
}

#[test]
fn the_shortest_run_is_named_with_its_own_message() {
    let mut groups = Groups::default();
    for (test, seed) in [("backup", 9), ("rejoin", 4), ("backup", 6), ("rejoin", 4)] {
        let message = format!("it broke in term {seed} for good");
        add(&mut groups, &failed(test, seed, FailureKind::Test, &message));
    }
    assert_eq!(
        text(&groups, None),
        "4 runs failed, all in the same way:\n\n\
         failure 1, 4 runs: it broke in term 4 for good\n  \
         the shortest is rejoin, seed 4, which fails after 0.40 s\n    \
         raftlab replay 4 rejoin\n  \
         all: backup (seeds 9, 6), rejoin (seeds 4, 4)"
    );
}

#[test]
fn the_most_frequent_group_comes_first_and_keeps_its_number() {
    let mut groups = Groups::default();
    add(&mut groups, &failed("backup", 1, FailureKind::Test, "it is rare this time"));
    for seed in 1..=3 {
        add(&mut groups, &failed("backup", seed, FailureKind::Test, "it is seen often"));
    }
    let text = text(&groups, None);
    let (rare, often) =
        (text.find("failure 1, 1 run").unwrap(), text.find("failure 2, 3 runs").unwrap());
    assert!(often < rare, "{text}");
    assert!(text.starts_with("4 runs failed, in 2 ways, the most frequent first:\n"), "{text}");
}

#[test]
fn a_thousand_failures_of_one_sort_tell_one_story() {
    let (mut groups, mut told) = (Groups::default(), Told::default());
    let mut stories = 0;
    for seed in 1..=1000 {
        let message =
            format!("S{} applied index {seed} twice: {}", seed % 5, "x".repeat(seed as usize));
        let group = add(&mut groups, &failed("backup", seed, FailureKind::Test, &message));
        stories += usize::from(told.is_news(group));
    }
    assert_eq!(stories, 1);
    assert!(told.knows_all(&groups));
    assert!(text(&groups, None).ends_with("all: backup (seeds 1, 2, 3, 4, 5 and 995 more)"));
    assert_eq!(groups.by_frequency()[0].tests[0].first_seeds.len(), FIRST_SEEDS);
    assert!(serde_json::to_string(&groups).unwrap().len() < 1000, "its size has a limit");
}

/// Words without numbers.
fn word(mut number: u64) -> String {
    let mut word = String::from("w");
    while number > 0 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}

#[test]
fn too_many_groups_are_counted_and_said() {
    let (mut groups, mut told) = (Groups::default(), Told::default());
    for seed in 1..=1000 {
        let message = format!("it was {} and {}", word(seed), "y".repeat(2000));
        let group = add(&mut groups, &failed("backup", seed, FailureKind::Test, &message));
        assert_eq!(told.is_news(group), seed <= MOST_GROUPS as u64);
    }
    assert!(!told.knows_all(&groups));
    let text = text(&groups, None);
    assert!(text.starts_with("1000 runs failed, in 50 ways"), "{text}");
    assert!(
        text.contains("\nand 40 more ways to fail, in 40 runs; see above, or --json"),
        "{text}"
    );
    let others = "\nand 950 runs that failed in yet other ways: no more than 50 ways are told apart. \
                  The first was 2B backup, seed 51: it was w";
    assert!(text.contains(others), "{text}");
    assert!(serde_json::to_string(&groups).unwrap().len() < 200_000, "its size has a limit");
}

#[test]
fn many_tests_are_told_in_one_line_and_a_single_seed_is_not_repeated() {
    let mut groups = Groups::default();
    let names: Vec<_> = suites::all().take(20).map(|test| test.name).collect();
    for name in &names {
        add(&mut groups, &failed(name, 1, FailureKind::Test, "no leader among 3 servers"));
    }
    let all = |text: String| text.lines().last().unwrap().to_string();
    let six: Vec<_> = names[..6].iter().map(|name| format!("{name} (seed 1)")).collect();
    let swept = format!("  all: {} and 14 more tests with 14 runs", six.join(", "));
    assert_eq!(all(text(&groups, None)), swept);
    let again = Again::CargoTest;
    let runs = Runs { again: &again, world: World::Real, is_sweep: false };
    let text = groups.text(runs, None);
    assert!(text.contains(&format!("the shortest is {}, which fails after 0.10 s\n    LAB_REAL=1 LAB_SEED=1 cargo test {}\n", names[0], names[0])), "{text}");
    assert_eq!(all(text), format!("  all: {} and 14 more tests", names[..6].join(", ")));
}

#[test]
fn the_groups_fit_40_columns_but_for_the_commands() {
    let mut groups = Groups::default();
    let long = "versioned_snapshot_unreliable_recover_concurrent_partition_linearizable";
    for seed in 1..=9 {
        for test in ["backup", long] {
            let message =
                format!("S0 applied index {seed} after index {} {}", seed + 1, "word".repeat(40));
            add(&mut groups, &failed(test, seed, FailureKind::Test, &message));
            add(&mut groups, &failed(test, seed, FailureKind::Test, "it is \u{1b}[31m red"));
        }
    }
    let text = text(&groups, Some(40));
    let (commands, lines): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| line.contains("raftlab replay "));
    assert_eq!(commands, ["    raftlab replay 1 backup"; 2]);
    assert!(lines.len() > 20, "{text}");
    assert!(lines.iter().all(|line| line.chars().count() <= 40), "{text}");
    assert!(text.contains("\\u{1b}[31m") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn groups_survive_a_file() {
    let mut groups = Groups::default();
    add(&mut groups, &failed("backup", 9, FailureKind::Deadlock, "threads wait for each other"));
    let mut again: Groups = serde_json::from_str(&serde_json::to_string(&groups).unwrap()).unwrap();
    let report = failed("rejoin", 3, FailureKind::Deadlock, "threads wait for each other");
    assert_eq!((add(&mut again, &report), add(&mut groups, &report)), (Some(1), Some(1)));
    assert_eq!(text(&again, None), text(&groups, None));
}
