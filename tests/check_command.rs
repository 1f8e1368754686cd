//! `raftlab check` as the shell sees it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The exit status for these arguments and this input, with standard output and standard error.
fn raftlab(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftlab"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The program need not read all of its input, or any.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A history in a short notation: one operation per line, `client call return op key value-or-output`. Returns it as JSON. An
/// underscore is an empty text. A question mark means no return, or no output.
fn json(history: &str) -> String {
    let quoted = |word: &str| format!("\"{}\"", if word == "_" { "" } else { word });
    let line = |line: &str| {
        let [client, call, ret, op, key, text] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("{line:?}")
        };
        let ret = if ret == "?" { "null" } else { ret };
        let text = match (op, text) {
            (_, "?") => String::new(),
            ("get", output) => format!(",\"output\":{}", quoted(output)),
            (_, value) => format!(",\"value\":{}", quoted(value)),
        };
        let (op, key) = (quoted(op), quoted(key));
        format!(
            "{{\"client\":{client},\"call\":{call},\"return\":{ret},\"op\":{op},\"key\":{key}{text}}}\n"
        )
    };
    history.trim().lines().map(line).collect()
}

#[track_caller]
fn is_linearizable(history: &str) {
    let (status, out, error) = raftlab(&["check", "-"], json(history).as_bytes());
    assert_eq!((status, error.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("linearizable: "), "{out}");
}

/// Checks that the input isn't linearizable, and that the output is this.
#[track_caller]
fn contradicts(input: &str, shown: &str) {
    let (status, out, error) = raftlab(&["check", "-"], input.as_bytes());
    assert_eq!((status, error.as_str()), (1, ""), "{out}");
    let (_, shown) = shown.split_once('\n').unwrap();
    let shown: Vec<_> = shown.lines().map(str::trim_start).collect();
    let out: Vec<_> = out.lines().map(str::trim_start).collect();
    assert_eq!(out.join("\n"), shown.join("\n"));
}

#[track_caller]
fn wrong(args: &[&str], input: &[u8], what: &str) {
    let (status, out, error) = raftlab(args, input);
    assert_eq!((status, out.as_str()), (2, ""), "{error}");
    assert!(error.starts_with("error: "), "{error}");
    assert!(error.contains(what), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn what_one_server_may_have_answered_is_linearizable() {
    is_linearizable("0 10 20 get k _");
    is_linearizable("0 10 20 append k a\n1 15 25 append k b\n2 30 40 get k ba");
    is_linearizable("0 10 20 put k a\n1 11 30 get k _\n2 12 13 get k a\n2 14 15 get l _");
}

#[test]
fn an_unknown_outcome_may_be_any() {
    is_linearizable("0 10 ? append k a\n1 20 30 get k _\n1 90 95 get k a");
    is_linearizable("0 10 ? append k a\n1 20 30 get k _\n1 90 95 get k _");
    is_linearizable("0 10 ? get k ?\n0 5 6 append k a\n1 20 30 get k a");
}

#[test]
fn who_meets_at_a_moment_is_concurrent_but_a_client_goes_on() {
    is_linearizable("0 10 20 append k a\n1 20 30 append k b\n2 40 50 get k ba");
    let (status, ..) = raftlab(
        &["check", "-"],
        json("0 1 2 append k a\n0 2 3 append k b\n1 4 5 get k ba").as_bytes(),
    );
    assert_eq!(status, 1);
}

#[test]
fn a_stale_read() {
    contradicts(
        &json("0 10 20 append k a\n1 30 40 append k b\n2 50 60 get k a\n2 70 80 get k ab"),
        r#"
        not linearizable: no order of these operations on key "k" explains their answers:

        #  client  call  return  operation   answer
        2       1  30ns    40ns  append "b"
        3       2  50ns    60ns  get         "a"

        Left out: 1 other read; 1 other write may take effect at any time after the call, or never.

        The longest order that fits:

        #1 append "a" (one of the others)
        #2 append "b"

        After these, the answer to #3 would be "ab", not "a""#,
    );
}

#[test]
fn reads_that_go_back() {
    contradicts(
        &json("0 10 99 append k a\n1 20 30 get k a\n2 40 50 get k _"),
        r#"
        not linearizable: no order of these operations on key "k" explains their answers:

        #  client  call  return  operation  answer
        2       1  20ns    30ns  get        "a"
        3       2  40ns    50ns  get        ""

        1 other write may take effect at any time after the call, or never.

        The longest order that fits:

        #1 append "a" (one of the others)
        #2 get

        After these, the answer to #3 would be "a", not """#,
    );
}

#[test]
fn a_lost_append() {
    let appends =
        "0 10 20 append k abcdefghij\n1 30 40 append k klmnopqrst\n2 50 60 append k uvwxyz\n";
    contradicts(
        &json(&format!("{appends}3 70 80 get k abcdefghijuvwxyz")),
        r#"
        not linearizable: no order of these operations on key "k" explains their answers:

        #  client  call  return  operation            answer
        2       1  30ns    40ns  append "klmnopqrst"
        4       3  70ns    80ns  get                  "abcdefghijuvwxyz"

        2 other writes may take effect at any time after the call, or never.

        The longest order that fits:

        #1 append "abcdefghij" (one of the others)
        #3 append "uvwxyz" (one of the others)
        #2 append "klmnopqrst"

        After these, the answer to #4 would be "abcdefghijuvwxyzklmnopqrst", not "abcdefghijuvwxyz""#,
    );
}

#[test]
fn an_append_that_came_twice_and_one_that_nobody_made() {
    contradicts(
        &json("0 10 20 append k a\n1 30 40 get k aa"),
        r#"
        not linearizable: no order of these operations on key "k" explains their answers:

        #  client  call  return  operation  answer
        2       1  30ns    40ns  get        "aa"

        1 other write may take effect at any time after the call, or never.

        The longest order that fits:

        #1 append "a" (one of the others)

        After these, the answer to #2 would be "a", not "aa""#,
    );
    let (status, ..) =
        raftlab(&["check", "-"], json("0 10 20 append k a\n1 30 40 get k b").as_bytes());
    assert_eq!(status, 1);
}

#[test]
fn a_read_of_what_comes_later() {
    contradicts(
        &json("0 10 20 get k a\n1 30 40 append k a"),
        r#"
        not linearizable: no order of these operations on key "k" explains their answers:

        #  client  call  return  operation   answer
        1       0  10ns    20ns  get         "a"
        2       1  30ns    40ns  append "a"

        At the start, the answer to #1 would be "", not "a""#,
    );
}

const PUT: &str = r#"{"client":0,"call":1,"return":2,"op":"put","key":"k","value":"a","version":0,"result":"ok"}"#;

#[test]
fn versions() {
    let get =
        |output| format!(r#"{{"client":1,"call":3,"return":4,"op":"get","key":"k",{output}}}"#);
    let late = r#"{"client":2,"call":0,"return":null,"op":"get","key":"k"}"#;
    let maybe = r#"{"client":0,"call":2,"return":3,"op":"put","key":"k","value":"b","version":1,"result":"maybe"}"#;
    for output in [r#""output":"a","version":1"#, r#""output":"b","version":2,"result":"ok""#] {
        let history = format!("{late}\n{PUT}\n{maybe}\n{}\n", get(output));
        let (status, out, error) = raftlab(&["check", "-"], history.as_bytes());
        assert_eq!((status, out.as_str()), (0, "linearizable: 4 operations\n"), "{error}");
    }
    contradicts(
        &format!("{PUT}\n{}", get(r#""result":"no_key""#)),
        r#"
        not linearizable: no order of these operations on key "k" explains their answers:

        #  client  call  return  operation          answer
        1       0   1ns     2ns  put version 0 "a"  ok
        2       1   3ns     4ns  get                no key

        The longest order that fits:

        #1 put version 0 "a"

        After these, the answer to #2 would be version 1 "a", not no key"#,
    );
}

#[test]
fn a_line_that_is_not_as_it_should_be_is_named() {
    let good = json("0 10 20 append k a");
    for (line, what) in [
        ("client,call", "line 2: expected an operation, such as {\"client\":0,"),
        ("[0,10,20,\"get\",\"k\"]", "line 2: expected an operation"),
        (
            "{\"client\":0,\"call\":30,\"ret",
            "line 2: EOF while parsing a string at column 26; is the file cut off?",
        ),
        ("{} {}", "line 2: missing field `client`"),
        (
            r#"{"client":1,"call":1,"op":"get","key":"k","output":""}"#,
            "line 2: missing field `return`",
        ),
        (r#"{"client":-1,"call":1,"return":2,"op":"get","key":"k","output":""}"#, "expected u64"),
        (r#"{"client":1,"client":1}"#, "line 2: duplicate field `client`"),
        (r#"{"client":1,"called":1}"#, "line 2: missing field `call`"),
        (
            r#"{"client":1,"call":1,"return":2,"op":"cas","key":"k"}"#,
            "line 2: this is a compare-and-swap; and standard input: line 1: this is an append. No service has both",
        ),
        (
            r#"{"client":1,"call":3,"return":2,"op":"get","key":"k","output":""}"#,
            "line 2: it returns at 2, before its call at 3",
        ),
        (
            r#"{"client":1,"call":1,"return":2,"op":"get","key":"k"}"#,
            "line 2: a get that was answered must have an \"output\"",
        ),
        (
            r#"{"client":1,"call":1,"return":null,"op":"get","key":"k","output":""}"#,
            "line 2: a get that was never answered must not have an \"output\"",
        ),
        (
            r#"{"client":1,"call":1,"return":2,"op":"get","key":"k","value":"","output":""}"#,
            "line 2: a get must not have a \"value\"",
        ),
        (
            r#"{"client":1,"call":1,"return":2,"op":"put","key":"k"}"#,
            "line 2: a put or append must have a \"value\"",
        ),
        (
            r#"{"client":1,"call":1,"return":2,"op":"append","key":"k","value":"","output":""}"#,
            "line 2: a put or append must not have an \"output\"",
        ),
        (
            PUT,
            "line 2: this operation has a version or a result; and standard input: line 1: this is an append. No service has both",
        ),
    ] {
        wrong(&["check", "-"], format!("{good}{line}\n").as_bytes(), what);
    }
    wrong(&["check", "-"], b"{\"client\":\xff}\n", "standard input: line 1: this is not UTF-8");
}

#[test]
fn a_versioned_line_that_is_not_as_it_should_be_is_named() {
    for (end, what) in [
        (
            r#""op":"append","value":"b","version":1,"result":"ok""#,
            "line 1: this operation has a version or a result; and standard input: line 2: this is an append. No service has both",
        ),
        (
            r#""op":"put","value":"b","version":1"#,
            "line 2: a versioned put that was answered must have a \"result\"",
        ),
        (
            r#""op":"put","value":"b","result":"ok""#,
            "line 2: a versioned put must have \"value\" and \"version\"",
        ),
        (
            r#""op":"get","version":1"#,
            "line 2: a get that was answered must have \"output\" and \"version\", or",
        ),
        (
            r#""op":"get","value":"b","output":"","version":1"#,
            "line 2: a get must not have a \"value\"",
        ),
        (
            r#""op":"get","output":"a""#,
            "line 2: a get that was answered must have \"output\" and \"version\", or",
        ),
    ] {
        let line = format!("{PUT}\n{{\"client\":1,\"call\":3,\"return\":4,\"key\":\"k\",{end}}}\n");
        wrong(&["check", "-"], line.as_bytes(), what);
    }
}

#[test]
fn a_client_does_one_thing_at_a_time() {
    let overlap = json("3 10 30 append k a\n3 20 40 append k b");
    wrong(
        &["check", "-"],
        overlap.as_bytes(),
        "line 2: client 3 calls before its operation of line 1 returns",
    );
    let unknown = json("3 20 40 append k b\n3 10 ? append k a");
    wrong(
        &["check", "-"],
        unknown.as_bytes(),
        "line 1: client 3 has an operation of unknown outcome in line 2",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    wrong(&["check", "no/such/file"], b"", "can't read no/such/file: No such file");
    wrong(&["check", env!("CARGO_MANIFEST_DIR")], b"", "Is a directory");
    wrong(&["check", "-"], b"", "standard input: there are no operations in it");
    wrong(&["check"], b"", "<FILE>");
}

#[test]
fn a_file_is_read_as_standard_input_is() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("history.jsonl");
    std::fs::write(&file, json("0 10 20 append k a").trim_end()).unwrap();
    let (status, out, error) = raftlab(&["check", file.to_str().unwrap()], b"");
    assert_eq!((status, out.as_str()), (0, "linearizable: 1 operation\n"), "{error}");
}

/// Many concurrent appends. Any of them may be part of the text that was read, but no order produces exactly that text.
fn hard() -> String {
    let append = |n: usize| format!("{n} 10 90 append k {}\n", "a".repeat(n));
    (1..=24).map(append).collect::<String>() + &format!("99 95 99 get k {}", "a".repeat(301))
}

#[test]
fn what_is_not_certain_within_the_limit_is_neither() {
    let (status, out, error) =
        raftlab(&["check", "-", "--limit", "0.01"], json(&hard()).as_bytes());
    assert_eq!(
        (status, out.as_str(), error.as_str()),
        (3, "undecided: 25 operations; not certain after 10ms\n", "")
    );
}

#[test]
fn check_takes_a_file_and_a_limit() {
    for limit in ["x", "-1", "1e99", "NaN", ""] {
        let limit = format!("--limit={limit}");
        wrong(&["check", "-", &limit], b"", "expected a number of seconds, such as 60 or 0.5");
    }
    wrong(&["check", "-", "--real"], b"", "check runs no tests, so --real has no meaning for it");
}

#[test]
fn a_limit_bounds_the_reading_too() {
    // A line without an end.
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftlab"));
    command.args(["check", "-", "--limit", "0.05"]).stdin(zeros);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    // Which of the two comes first depends on the machine.
    let too_long = (output.status.code(), error.contains("line 1 is longer than 64 MiB"));
    let too_late = (output.status.code(), text.contains("the history was not read to its end"));
    assert!(too_long == (Some(2), true) || too_late == (Some(3), true), "{text}{error}");
}

/// What a program can read about the verdict.
#[test]
fn a_verdict_goes_to_a_file_too() {
    let json_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verdict.json");
    let history = json("0 10 20 put k a\n1 30 40 get k b\n1 50 60 get l _");
    let args = ["check", "-", "--json", json_file.to_str().unwrap()];
    let (status, ..) = raftlab(&args, history.as_bytes());
    assert_eq!(status, 1);
    let text = std::fs::read_to_string(&json_file).unwrap();
    for part in [
        "\"verdict\": \"not linearizable\"",
        "\"complete\": true",
        "\"linearizable_keys\": 1",
        "\"name\": \"2\"",
        "\"minimal\": true",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn all_keys_that_are_wrong_are_told_with_their_notes() {
    let line = |key: &str, value: &str, at: u64, note: &str| {
        format!(
            "{{\"client\":0,\"call\":{at},\"return\":{},\"op\":\"get\",\"key\":\"{key}\",\"output\":\"{value}\"{note}}}\n",
            at + 1
        )
    };
    let put =
        "{\"client\":1,\"call\":0,\"return\":9,\"op\":\"put\",\"key\":\"l\",\"value\":\"x\"}\n";
    let history =
        [put, &line("l", "", 20, ""), &line("k", "y", 30, ",\"note\":\"of S2\"")].concat();
    let (status, out, _) = raftlab(&["check", "-"], history.as_bytes());
    assert_eq!(status, 1);
    let (k, l) = (out.find("on key \"k\"").unwrap(), out.find("on key \"l\"").unwrap());
    assert!(k < l, "one operation contradicts sooner than two: {out}");
    assert!(out.contains("#3: of S2"), "{out}");
    assert!(out.ends_with("3 operations: 2 keys are not linearizable, 0 are, 0 are undecided\n"));
}

#[test]
fn options_of_check_are_looked_at() {
    let number = "{\"client\":0,\"call\":0,\"return\":1,\"op\":\"get\",\"output\":7}\n";
    let (status, ..) = raftlab(&["check", "-", "--initial", "7"], number.as_bytes());
    assert_eq!(status, 0);
    wrong(&["check", "-", "--initial", "x"], b"", "expected a value as JSON");
    wrong(&["check", "-", "--memory", "0"], b"", "a whole number of MiB from 1 to");
    wrong(&["check", "-", "--memory", "-1"], b"", "a whole number of MiB from 1 to");
    wrong(&["check", "-", "--model", "stack"], b"", "possible values: text, versioned, register");
    wrong(&["check", "-", "--model", "queue"], number.as_bytes(), "line 1: a queue has no get");
    wrong(&["check", "-"], b"[{\"client\":0}]", "this is a JSON array");
}
