//! The `raftlab` command as the shell sees it: wrong usage is reported, with exit status 2.

use std::process::Command;

/// The exit status for these arguments, and what was written to standard error.
fn raftlab(args: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_raftlab")).args(args.split(' ')).output();
    let output = output.unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn wrong(args: &str, word: &str) {
    let (status, error) = raftlab(args);
    assert_eq!(status, 2, "{args}: {error}");
    assert!(error.starts_with("error: "), "{args}: {error}");
    assert!(error.contains(word), "{args}: {error}");
}

#[test]
fn a_shard_is_one_of_those_there_are() {
    for shard in ["0/4", "5/4", "a/b", "3", "1/0", "-1/4", "1/4/2", "/", "1/", "1/99999999999"] {
        wrong(&format!("--shard={shard} 2A"), "expected I/N, such as 2/4");
    }
}

#[test]
fn replay_takes_a_seed_and_a_test_and_nothing_else() {
    for flag in ["--real", "--seed 2", "--seeds 2", "--jobs 2", "--fail-fast", "--shard 1/2"] {
        let name = flag.split(' ').next().unwrap();
        wrong(
            &format!("replay 1 rejoin {flag}"),
            &format!("replay takes a seed and a test; it does not accept {name}"),
        );
    }
}

#[test]
fn numbers_that_make_no_sense_are_named() {
    wrong("--seeds 0", "from 1 to 18446744073709551615");
    wrong("--seeds 99999999999999999999", "from 1 to 18446744073709551615");
    wrong("--seed -1", "from 0 to 18446744073709551615");
    wrong("replay -1 rejoin", "from 0 to 18446744073709551615");
    wrong("check - --limit -1", "expected a number of seconds");
    wrong("--jobs 0", "from 1 to 256");
    wrong("--jobs -1", "from 1 to 256");
    wrong("--seed 5 --seeds 18446744073709551615", "the largest seed is");
}

/// Each option and each argument of each command is given a negative number. None of them reports "unexpected argument".
#[test]
fn a_negative_number_is_told_in_the_words_of_what_it_stands_for() {
    let help = |command: &str| {
        let mut raftlab = Command::new(env!("CARGO_BIN_EXE_raftlab"));
        let output = raftlab.args(command.split_whitespace()).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut options = 0;
    for command in ["", "test", "replay", "check", "experiment", "fuzz", "bugs"] {
        let help = help(command);
        // A file may have such a name.
        let name = |line: &str| {
            let (name, value) = line.trim_start().strip_prefix("--")?.split_once(" <")?;
            (!value.starts_with("FILE") && !value.starts_with("DIR")).then(|| name.to_string())
        };
        for option in help.lines().filter_map(name) {
            options += 1;
            for number in ["-1", "-0.5"] {
                let (_, error) = raftlab(format!("{command} --{option} {number}").trim_start());
                assert!(!error.contains("unexpected argument"), "{command} --{option}: {error}");
            }
        }
    }
    assert!(options >= 20, "{options}");
    for number in
        ["--seed -1", "replay -1 rejoin", "experiment elections --seed -1", "fuzz --seed -1"]
    {
        wrong(number, ": expected a whole number from 0 to 18446744073709551615");
    }
    wrong("fuzz --seeds -1", ": expected a whole number from 1 to 18446744073709551615");
    wrong(
        "experiment elections --disk -1",
        ": expected a whole number of milliseconds from 0 to 60000",
    );
    wrong("experiment elections --lines -5-10", "such as 150-300");
    wrong("-1", "there is no test \"-1\". --list");
    wrong("replay 7 -1", "there is no test \"-1\". --list");
    wrong("check -1", "can't read -1: ");
    wrong("bugs -1", "there is no bug \"-1\". ");
    wrong("experiment -1", "there is no experiment \"-1\"; choose one of: elections");
}

#[test]
fn a_wrong_word_is_told_what_was_meant_if_anything_is_near() {
    wrong("rejoyn", "; did you mean \"rejoin\"?");
    wrong("reply 7 rejoin", "; did you mean \"replay\"?");
    wrong("replay 7 rejion", "; did you mean \"rejoin\"?");
    wrong("bugs commit_oldterm", "; did you mean \"commit_old_term\"?");
    for far in ["test test", "replay 7 nope", "nope", "raft", "bugs nope"] {
        let (status, error) = raftlab(far);
        assert_eq!(status, 2, "{far}");
        assert!(!error.contains("did you mean"), "{far}: {error}");
    }
}

#[test]
fn a_former_name_selects_the_test_and_says_what_it_is_called_now() {
    let (status, note) = raftlab("--list refused_votes_buy_no_time");
    assert_eq!(status, 0);
    let now = "refused_vote_does_not_reset_election_timer";
    assert_eq!(note.trim(), format!("note: refused_votes_buy_no_time is called {now} now"));
    assert_eq!(raftlab("--list basic"), (0, String::new()), "the Go lab's names are parts of ours");
}

#[test]
fn a_shard_that_would_be_empty_is_named() {
    wrong(
        "rejoin --shard 2/2",
        "shard 2/2 is empty: for these tests and seeds, N in --shard I/N can be at most 1",
    );
    wrong("--list rejoin --shard 2/2", "shard 2/2 is empty");
}

/// These file systems have no room for the results. The results are first written to a temporary file, whose name means nothing
/// to the user.
#[test]
fn errors_name_no_temporary_file() {
    for (flag, path) in [
        ("--json", "/proc/results.json"),
        ("--json", "/sys/results.json"),
        ("--junit", "/proc/results.xml"),
    ] {
        let (status, error) = raftlab(&format!("initial_election {flag} {path}"));
        assert_eq!((status, error.contains("tmp")), (2, false), "{error}");
        assert!(error.starts_with(&format!("error: can't write {path}: ")), "{error}");
    }
}

#[test]
fn what_would_be_passed_over_is_named() {
    for flag in [
        "--json results.json",
        "--junit results.xml",
        "--real",
        "--jobs 2",
        "--fail-fast",
        "--strict",
    ] {
        let name = flag.split(' ').next().unwrap();
        wrong(&format!("--list {flag}"), &format!("it does not accept {name}"));
    }
    for flag in ["--backend threads", "--resume sweep", "--seed 1", "--seed 5"] {
        let name = flag.split(' ').next().unwrap();
        wrong(&format!("2A --list --shard 1/2 {flag}"), &format!("it does not accept {name}"));
    }
    wrong("--list --seeds 4", "--seeds only together with --shard");
    assert_eq!(raftlab("--list --seeds 4 --shard 2/4").0, 0);
    wrong("replay 1 rejoin --seed 1", "it does not accept --seed");
    wrong("bugs --seeds 1", "bugs does not accept --seeds");
    wrong("experiment --trials 5", "required arguments were not provided");
    wrong("--json - rejoin", "needs the name of a file");
    wrong("--junit - rejoin", "needs the name of a file");
    wrong("check --junit results.xml history", "check runs no tests, so --junit");
    wrong("replay 1 rejoin --junit results.xml", "it does not accept --junit");
    wrong("2A replay 7 rejoin", "and must come first, before \"2A\"");
    wrong("2A bugs", "and must come first, before \"2A\"");
}

#[test]
fn a_sweep_goes_on_only_with_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    wrong(&format!("2A --resume {}", path("one")), "add --seeds N");
    wrong(&format!("2A --seeds 2 --resume {}", path("no/folder")), "there is no folder");
    wrong("2A --seeds 2 --resume .", "can't resume from .");
    let file = path("sweep");
    let sweep = |args: &str| format!("initial_election {args} --resume {file}");
    assert_eq!(raftlab(&sweep("--seeds 2")).0, 0);
    wrong(&sweep("--seeds 3"), "its --seeds is 2, but 3 was given");
    wrong(&sweep("--seeds 2 --seed 5"), "its --seed is 1, but 5 was given");
    wrong(&sweep("--seeds 2 --strict"), "one sweep is --strict");
    wrong(&sweep("2B --seeds 2"), "it is for 1 tests, but the 11 tests selected now are different");
    let text = std::fs::read_to_string(&file).unwrap();
    let newer = text.replacen("\"format\":", "\"format\":9", 1);
    for (damaged, why) in [
        ("", "it was not written by --resume"),
        ("{}", "missing field"),
        (&*newer, "it has format 9"),
    ] {
        std::fs::write(&file, damaged).unwrap();
        wrong(&sweep("--seeds 2"), why);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged, "the file is left as it was");
    }
}

#[test]
fn fields_may_have_other_names() {
    let run = |renames: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftlab"));
        command.env("LAB_RENAME", renames).arg("initial_election").output().unwrap()
    };
    let unread = run("RequestVoteReply.vote_granted=zz");
    let said = String::from_utf8(unread.stdout).unwrap();
    assert!(unread.status.success() && said.contains("vote_granted can't be read"), "{said}");
    let wrong = run("vote_granted");
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("LAB_RENAME: \"vote_granted\" is not a renaming"), "{said}");
}

#[test]
fn help_shows_what_a_command_takes() {
    for command in ["replay", "bugs", "experiment"] {
        let output = Command::new(env!("CARGO_BIN_EXE_raftlab")).args([command, "--help"]).output();
        let help = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(help.contains("--help") && !help.contains("--seeds"), "{help}");
    }
}

#[test]
fn bugs_takes_the_name_of_one() {
    wrong("bugs no_such_bug", "there is no bug \"no_such_bug\"");
    wrong("bugs --real", "bugs does not accept --real");
    assert!(!raftlab("bugs").1.contains("error"));
}

#[test]
fn experiment_takes_the_name_of_one_and_numbers_that_make_sense() {
    wrong("experiment elektions", "there is no experiment \"elektions\"; choose one of: elections");
    wrong("experiment elections --trials 0", "expected a whole number from 1 to 1000000");
    wrong("experiment elections --seed -1", "from 0 to 18446744073709551615");
    wrong("experiment elections --jobs 0", "from 1 to 256");
    wrong("experiment elections --lines 300-150", "such as 150-300");
    wrong("experiment elections --broadcast x", "a whole number of milliseconds");
    wrong("experiment elections --broadcast 9", "is too short for a disk write of 8 ms");
    wrong("experiment elections --broadcast 9 --latency regions", "cannot be used with");
    wrong("experiment elections --seeds 2", "experiment does not accept --seeds");
    assert!(!raftlab("experiment").1.contains("error"));
}

#[test]
fn experiment_names_the_line_of_a_bad_latency_file_and_what_it_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("latency");
    std::fs::write(&file, "a b c\na 0 1 2\nb 1 0 x\n").unwrap();
    let file = file.display();
    let latency = |file: &str| format!("experiment elections --trials 1 --latency {file}");
    let at = format!("{file}: line 3: from b to c: expected a number of milliseconds");
    wrong(&latency(&file.to_string()), &at);
    wrong(&latency(&format!("{file}.not")), &format!("can't read {file}.not"));
    wrong(&format!("experiment elections --trials 1 --out {file}"), &format!("can't write {file}"));
}
