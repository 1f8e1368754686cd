//! Which tests a word selects.

use crate::nearest::nearest;
use crate::suites::{self, LabTest};
use std::collections::BTreeSet;

/// The tests that a word selects: all tests of a part (`2B`), the test of that name, in Rust's or Go's spelling, the test that had
/// that name before, or the tests whose names contain it. The parts are those of the lab before 2024. For a test of Raft, Go's name from later years is
/// accepted too (`TestRejoin3B`).
///
/// # Errors
/// The word selects no test. The text suggests the nearest name.
pub fn select(word: &str) -> Result<Vec<&'static LabTest>, String> {
    selected_by(word).ok_or_else(|| unknown(word, suites::all(), &[]))
}

/// The tests that a word selects, if there are any.
pub(crate) fn selected_by(word: &str) -> Option<Vec<&'static LabTest>> {
    let tests: Vec<_> = suites::all().collect();
    let pick = |which: &dyn Fn(&LabTest) -> bool| -> Vec<&'static LabTest> {
        tests.iter().copied().filter(|test| which(test)).collect()
    };
    let part = pick(&|test| test.part.eq_ignore_ascii_case(word));
    let exact = pick(&|test| {
        test.name == word || test.go_name == word || is_go_name(test, test.part, word)
    });
    let renamed = pick(&|test| test.was_called(word));
    let later =
        pick(&|test| part_since_2024(test).is_some_and(|part| is_go_name(test, &part, word)));
    let within = pick(&|test| test.name.contains(&word.to_lowercase()));
    let found = [part, exact, later, renamed, within].into_iter().find(|found| !found.is_empty());
    found.filter(|_| !word.is_empty())
}

/// The error for a word that selects none of these tests. Where the word could have been a command, commands are suggested too.
pub(crate) fn unknown(
    word: &str,
    tests: impl Iterator<Item = &'static LabTest>,
    commands: &[String],
) -> String {
    let tests: Vec<_> = tests.collect();
    let commands = commands.iter().map(|name| (name.clone(), name.as_str()));
    let names = tests.iter().map(|test| (test.name.into(), test.name));
    let go_names = tests.iter().map(|test| (go_name(test, test.part), test.name));
    let parts = tests.iter().map(|test| (test.part.into(), test.part));
    // These words select all the tests that contain them.
    let words: BTreeSet<_> = tests.iter().flat_map(|test| test.name.split('_')).collect();
    let words = words.into_iter().filter(|word| word.len() >= 5).map(|word| (word.into(), word));
    let all = commands.chain(names).chain(go_names).chain(parts).chain(words);
    let suggestion = match nearest(word, all) {
        Some(name) => format!("; did you mean {name:?}?"),
        None => ".".into(),
    };
    format!("there is no test {word:?}{suggestion} --list shows them all")
}

fn go_name(test: &LabTest, part: &str) -> String {
    format!("Test{}{part}", test.go_name)
}

/// Whether the word is `InitialElection2A` or `TestInitialElection2A`, in any case.
fn is_go_name(test: &LabTest, part: &str, word: &str) -> bool {
    let name = go_name(test, part);
    name.eq_ignore_ascii_case(word) || name["Test".len()..].eq_ignore_ascii_case(word)
}

/// The names of Raft's parts, 2A to 2D, in the lab since 2024.
fn part_since_2024(test: &LabTest) -> Option<String> {
    test.part.strip_prefix('2').map(|letter| format!("3{letter}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str) -> Vec<&'static str> {
        select(word).unwrap().iter().map(|test| test.name).collect()
    }

    #[test]
    fn a_word_selects_a_part_a_name_or_what_contains_it() {
        assert_eq!(names("2a"), ["initial_election", "re_election", "many_elections"]);
        assert_eq!(names("figure_8"), ["figure_8"]);
        assert_eq!(names("unreliable")[..2], ["unreliable_agree", "figure_8_unreliable"]);
        assert_eq!(names("TestRejoin2B"), ["rejoin"]);
        assert_eq!(names("SnapshotInit"), ["snapshot_init"]);
    }

    #[test]
    fn a_former_name_still_selects_its_test() {
        assert_eq!(names("pair"), ["two_servers_commit_together"]);
        assert_eq!(names("figure_8_own_term"), ["figure_8_with_entry_of_own_term"]);
        assert_eq!(names("refused_votes_buy_no_time").len(), 1);
        assert_eq!(names("kv_late_requests"), ["kv_late_duplicate_requests"]);
        assert_eq!(names("rsm_first_of_two_leaders"), ["rsm_two_leaders_use_the_same_index"]);
        assert_eq!(names("versioned_answers"), ["versioned_every_answer"]);
        assert_eq!(names("once_in_trouble"), ["once_under_faults"]);
        for test in suites::all().filter(|test| test.was_called(test.go_name)) {
            assert!(names(test.go_name).contains(&test.name), "{}", test.go_name);
            let same =
                |other: &LabTest| other.name.replace('_', "").eq_ignore_ascii_case(test.go_name);
            assert!(!suites::all().any(same), "{} is another test's name, too", test.go_name);
        }
    }

    #[test]
    fn the_names_of_all_years_are_known() {
        assert_eq!(names("TestInitialElection3A"), ["initial_election"]);
        assert_eq!(names("testfigure8unreliable3c"), ["figure_8_unreliable"]);
        assert_eq!(names("TestSpeed3A"), ["kv_speed"], "Raft has no such test in 2A");
        assert_eq!(names("TestBasic4B"), ["versioned_basic"]);
        assert_eq!(names("3a").len(), names("TestBasic3A").len() + 13, "of the 2022 store");
    }

    #[test]
    fn an_unknown_word_gets_the_nearest_name() {
        let error = select("figur_8_unrelaible").unwrap_err();
        assert!(error.contains("; did you mean \"figure_8_unreliable\"? "), "{error}");
        let error = select("TestRejoin").unwrap_err();
        assert!(error.contains("; did you mean \"rejoin\"? "), "{error}");
        let error = select("snapsot").unwrap_err();
        assert!(error.contains("; did you mean \"snapshot\"? "), "{error}");
        assert!(select("").is_err());
    }

    /// Such a word must not get the suggestion of an unrelated test.
    #[test]
    fn a_word_that_is_near_to_none_gets_no_name() {
        let words = "test tests nope foo bar hello raft lab run 2E 5A verbose debug";
        for word in words.split(' ') {
            let error = select(word).unwrap_err();
            assert!(!error.contains("did you mean"), "{error}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_gets_the_name() {
        for name in suites::all().map(|test| test.name).filter(|name| name.len() >= 4) {
            for at in [1, name.len() / 2, name.len() - 1] {
                let mut letters: Vec<_> = name.chars().collect();
                letters.swap(at - 1, at);
                let slip: String = letters.into_iter().collect();
                if let Err(error) = select(&slip) {
                    assert!(error.contains("; did you mean "), "{name}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_lab_has_28_tests_and_ours_have_names_of_their_own() {
        let classic =
            suites::all().filter(|test| test.part.starts_with('2') && !test.part.ends_with('+'));
        assert_eq!(classic.count(), 28);
        let mut names: Vec<_> = suites::all().map(|test| test.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
