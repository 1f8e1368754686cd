//! The `raftlab` command in a narrow terminal: no table is wider than the terminal.
#![cfg(unix)]

mod shell;

use shell::InTerminal;

/// The text on the screen, without the sequences that move the cursor. A line that is overwritten counts as a line of its own.
fn lines(screen: &str) -> Vec<String> {
    let mut text = String::new();
    let mut letters = screen.chars();
    while let Some(letter) = letters.next() {
        if letter == '\x1b' {
            letters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            text.push(letter);
        }
    }
    text.split(['\r', '\n']).map(String::from).collect()
}

#[test]
fn tables_fit_40_columns() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display();
    let experiment = format!("experiment elections --trials 1 --lines 150-155,12-24 --out {out}");
    for (args, first, behind) in [
        ("2A --jobs 1", "part test", " passed, "),
        ("2A versioned_snapshot_unreliable_recover_concurrent --seeds 2", "part test", " passed, "),
        ("--real initial_election --seeds 2", "part test", " passed, "),
        (&*experiment, "timeouts", "drawn: "),
        ("bugs", "accept_stale_ae", "nothing"),
    ] {
        let ended = InTerminal::start(args, 40).end().with_status(0);
        let lines = lines(&ended.out);
        let table = lines.iter().skip_while(|line| !line.starts_with(first));
        let table: Vec<_> = table.take_while(|line| !line.contains(behind)).collect();
        assert!(table.iter().filter(|line| !line.is_empty()).count() > 4, "{args}: {lines:?}");
        for line in table {
            assert!(line.chars().count() <= 40, "{args}: {line:?}");
        }
    }
}

#[test]
fn a_table_is_as_wide_as_it_is_where_there_is_room() {
    let ended = InTerminal::start("2A --seeds 2", 100).end().with_status(0);
    let head = "part test                            runs  failed     wall s min lab s      mean       max";
    assert!(lines(&ended.out).iter().any(|line| line == head), "{}", ended.out);
}
