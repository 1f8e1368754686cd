use super::*;
use crate::report::Again;
use crate::report::groups::tests::failed;
use crate::runner::World;
use labrpc::run::FailureKind;
use roxmltree::{Document, Node};

fn runs(again: &Again) -> Runs<'_> {
    Runs { again, world: World::Simulated, is_sweep: true }
}

/// The file with these failed runs, each with the number of its group.
fn file(reports: &[(Report, Option<usize>)], groups: Option<&str>, not_run: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.xml");
    let mut junit = JunitFile::create(&path).unwrap();
    let again = Again::Command("raftlab".into());
    reports.iter().for_each(|(report, group)| junit.add(report, *group, runs(&again)));
    assert!(!path.exists(), "it appears when it is complete");
    junit.finish(groups, None, not_run).unwrap();
    std::fs::read_to_string(path).unwrap()
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Node<'a, 'a> {
    node.children().find(|child| child.has_tag_name(name)).unwrap_or_else(|| panic!("no {name}"))
}

fn property<'a>(case: Node<'a, 'a>, name: &str) -> Option<&'a str> {
    let named = |it: &Node<'_, '_>| it.attribute("name") == Some(name);
    child(case, "properties").children().find(named)?.attribute("value")
}

/// All characters up to the surrogates, and the others that XML forbids or that mean something in it.
#[test]
fn any_text_is_well_formed_and_comes_back() {
    let odd: String =
        ('\0'..'\u{d7ff}').chain("\u{fffd}\u{fffe}\u{ffff}\u{10ffff}]]>&lt;<!--".chars()).collect();
    let message = format!("  <b>\"bold\" & 'odd'</b>\t]]> \u{1b}[31m\nline 2\r\nline 3\n{odd}");
    let report = failed("backup", 7, FailureKind::Panic, &message);
    let xml = file(&[(report, Some(1))], Some("\u{0} groups ]]>"), 0);
    let xml = Document::parse(&xml).unwrap();
    let case = xml.descendants().find(|node| node.has_tag_name("testcase")).unwrap();
    let failure = child(case, "failure");
    assert_eq!(failure.attribute("message"), Some("  <b>\"bold\" & 'odd'</b>\t]]> \\u{1b}[31m"));
    let text = failure.text().unwrap();
    assert!(text.contains("panicked:   <b>\"bold\" & 'odd'</b>\t]]> \\u{1b}[31m\n"), "{text}");
    assert!(text.contains("\\u{fffe}\\u{ffff}\u{10ffff}]]>&lt;<!--\n"));
    for line in message.lines() {
        assert!(text.contains(&valid(line)), "{line:?} is missing");
    }
    assert_eq!(
        child(child(xml.root_element(), "testsuite"), "system-out").text(),
        Some("\\u{0} groups ]]>")
    );
}

#[test]
fn a_group_is_told_in_full_once_and_each_failure_can_be_replayed() {
    let report = |seed| (failed("backup", seed, FailureKind::Test, "it broke\n  in two"), Some(2));
    let ungrouped = (failed("rejoin", 5, FailureKind::Test, "it is new"), None);
    let xml = file(&[report(3), report(4), ungrouped], None, 0);
    let xml = Document::parse(&xml).unwrap();
    let cases: Vec<_> = xml.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    let names: Vec<_> = cases.iter().map(|case| case.attribute("name").unwrap()).collect();
    assert_eq!(names, ["backup, seed 3", "backup, seed 4", "rejoin, seed 5"]);
    let text = |case: usize| child(cases[case], "failure").text().unwrap();
    assert!(text(0).contains("the last event of seed 3"));
    assert!(text(1).contains("it broke\n  in two") && text(1).contains("This is failure 2"));
    assert!(!text(1).contains("the last event"));
    assert!(text(2).contains("in no group"));
    for (case, command, group) in [
        (0, "raftlab replay 3 backup", Some("2")),
        (1, "raftlab replay 4 backup", Some("2")),
        (2, "raftlab replay 5 rejoin", None),
    ] {
        assert_eq!(property(cases[case], "replay"), Some(command));
        assert_eq!(property(cases[case], "group"), group);
        assert!(text(case).contains(&format!("again: {command}")), "{}", text(case));
        assert_eq!(cases[case].attribute("classname"), Some("2B"));
    }
    let suite = child(xml.root_element(), "testsuite");
    for of in [xml.root_element(), suite] {
        let counts = ["tests", "failures", "errors", "skipped", "time"]
            .map(|name| of.attribute(name).unwrap());
        assert_eq!(counts, ["3", "3", "0", "0", "0.015"]);
    }
}

#[test]
fn a_thousand_failures_of_one_sort_take_little_room() {
    let of = |reports: &[(Report, Option<usize>)]| file(reports, None, 0).len();
    let mut reports: Vec<_> = (1..=1000)
        .map(|seed| (failed("backup", seed, FailureKind::Test, "it broke"), Some(1)))
        .collect();
    for (report, _) in &mut reports {
        report.last_events = vec!["an event".repeat(1000)];
    }
    assert!(of(&reports) < 1000 * 1000 + 9000, "it has the events of {} runs", of(&reports) / 8000);
}

#[test]
fn runs_that_were_not_made_are_a_testcase_of_their_own() {
    let report = (failed("backup", 3, FailureKind::Test, "it broke"), Some(1));
    let xml = file(&[report], None, 41);
    let xml = Document::parse(&xml).unwrap();
    let last = xml.descendants().rfind(|node| node.has_tag_name("testcase")).unwrap();
    assert_eq!(last.attribute("name"), Some("the other 41 runs"));
    let why = child(last, "skipped").attribute("message");
    assert_eq!(why, Some("ended at a failure after 1 of 42 runs"));
    let counts = ["tests", "failures", "errors", "skipped"]
        .map(|it| xml.root_element().attribute(it).unwrap());
    assert_eq!(counts, ["2", "1", "0", "1"]);
}
