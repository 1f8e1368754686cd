//! The `raftlab` command as the shell sees it: wrong usage is named, with exit status 2.

use std::process::Command;

/// The exit status on these arguments, and what stands on standard error.
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
        wrong(&format!("--shard={shard} 2A"), "I/N is wanted, such as 2/4");
    }
}

#[test]
fn replay_takes_a_seed_and_a_test_and_nothing_else() {
    for flag in ["--real", "--seed 2", "--seeds 2", "--jobs 2", "--fail-fast", "--shard 1/2"] {
        let name = flag.split(' ').next().unwrap();
        wrong(
            &format!("replay 1 rejoin {flag}"),
            &format!("replay takes a seed and a test, and no {name}"),
        );
    }
}

#[test]
fn numbers_that_make_no_sense_are_named() {
    wrong("--seeds 0", "from 1 to 18446744073709551615");
    wrong("--seeds 99999999999999999999", "from 1 to 18446744073709551615");
    wrong("--seed -1", "from 0 to 18446744073709551615");
    wrong("replay -1 rejoin", "from 0 to 18446744073709551615");
    wrong("check - --limit -1", "a number of seconds is wanted");
    wrong("--jobs 0", "from 1 to 256");
    wrong("--jobs -1", "from 1 to 256");
    wrong("--seed 5 --seeds 18446744073709551615", "seeds end at");
    wrong("rejoyn", "did you mean \"rejoin\"?");
}

#[test]
fn what_would_be_passed_over_is_named() {
    for flag in ["--json results.json", "--real", "--jobs 2", "--fail-fast", "--strict"] {
        let name = flag.split(' ').next().unwrap();
        wrong(&format!("--list {flag}"), &format!("it takes no {name}"));
    }
    wrong("--json - rejoin", "wants the name of a file");
    wrong("2A replay 7 rejoin", "it comes first, before \"2A\"");
    wrong("2A bugs", "it comes first, before \"2A\"");
}

#[test]
fn a_sweep_goes_on_only_with_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    wrong(&format!("2A --resume {}", path("one")), "say how many --seeds");
    wrong(&format!("2A --seeds 2 --resume {}", path("no/folder")), "there is no folder");
    wrong("2A --seeds 2 --resume .", "can't go on with .");
    let file = path("sweep");
    let sweep = |args: &str| format!("initial_election {args} --resume {file}");
    assert_eq!(raftlab(&sweep("--seeds 2")).0, 0);
    wrong(&sweep("--seeds 3"), "its --seeds is 2, and 3 is wanted");
    wrong(&sweep("--seeds 2 --seed 5"), "its --seed is 1, and 5 is wanted");
    wrong(&sweep("--seeds 2 --strict"), "one is --strict");
    wrong(&sweep("2B --seeds 2"), "it is of 1 tests, and these 11 are others");
    let text = std::fs::read_to_string(&file).unwrap();
    let newer = text.replacen("\"format\":", "\"format\":9", 1);
    for (damaged, why) in
        [("", "it is no file of --resume"), ("{}", "missing field"), (&*newer, "it is of format 9")]
    {
        std::fs::write(&file, damaged).unwrap();
        wrong(&sweep("--seeds 2"), why);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged, "it is left alone");
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
    assert!(said.contains("LAB_RENAME: \"vote_granted\" is no renaming"), "{said}");
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
    wrong("bugs --real", "bugs takes no --real");
    assert!(!raftlab("bugs").1.contains("error"));
}

#[test]
fn experiment_takes_the_name_of_one_and_numbers_that_make_sense() {
    wrong("experiment elektions", "there is no experiment \"elektions\"; there is: elections");
    wrong("experiment elections --trials 0", "a whole number from 1 to 1000000 is wanted");
    wrong("experiment elections --seed -1", "from 0 to 18446744073709551615");
    wrong("experiment elections --jobs 0", "from 1 to 256");
    wrong("experiment elections --lines 300-150", "such as 150-300");
    wrong("experiment elections --broadcast x", "a whole number of milliseconds");
    wrong("experiment elections --broadcast 9", "is too short for a disk write of 8 ms");
    wrong("experiment elections --broadcast 9 --latency regions", "cannot be used with");
    wrong("experiment elections --seeds 2", "experiment takes no --seeds");
    assert!(!raftlab("experiment").1.contains("error"));
}

#[test]
fn experiment_names_the_line_of_a_bad_latency_file_and_what_it_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("latency");
    std::fs::write(&file, "a b c\na 0 1 2\nb 1 0 x\n").unwrap();
    let file = file.display();
    let latency = |file: &str| format!("experiment elections --trials 1 --latency {file}");
    let at = format!("{file}: line 3: from b to c a number of milliseconds is wanted");
    wrong(&latency(&file.to_string()), &at);
    wrong(&latency(&format!("{file}.not")), &format!("can't read {file}.not"));
    wrong(&format!("experiment elections --trials 1 --out {file}"), &format!("can't write {file}"));
}
