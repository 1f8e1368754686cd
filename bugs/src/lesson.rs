//! `raftlab bugs`: the list of bugs, and the lesson of one bug.

use crate::patch::{Kind, Patch};
use crate::record::{Caught, Records};
use labtests::cli::Out;
use labtests::report::Row;

/// The arguments of `raftlab bugs`.
#[derive(clap::Args)]
pub struct BugsArgs {
    /// The bug to explain. Without it, all bugs are listed.
    name: Option<String>,
}

/// Lists the bugs, one per line, or explains one.
///
/// # Errors
/// There is no such bug.
pub fn bugs(args: BugsArgs, out: &mut Out) -> Result<bool, String> {
    let (patches, records) = (crate::embedded()?, Records::embedded()?);
    match args.name {
        None => {
            let width = patches.iter().map(|patch| patch.name.len()).max().unwrap_or_default();
            let row = |patch: &Patch| row(patch, width, records.of(&patch.name));
            patches.iter().for_each(|patch| out.row(&row(patch)));
        }
        Some(name) => {
            let patch = crate::find(&patches, &name)?;
            out.line(lesson(patch, records.of(&patch.name)));
        }
    }
    Ok(true)
}

fn row(patch: &Patch, width: usize, caught: Option<&Caught>) -> Row {
    let caught = match caught {
        Some(Caught { test, seed, seconds, .. }) => format!("{test}, seed {seed}, {seconds:.1} s"),
        None => "not caught".into(),
    };
    let kind = format!("{:<9}", patch.header.kind);
    Row::new(format!("{:<width$}", patch.name), [kind]).with_note(caught)
}

fn lesson(patch: &Patch, caught: Option<&Caught>) -> String {
    let header = &patch.header;
    let title = format!(
        "{}: bug {}, {}, {}, in {}",
        patch.name, patch.number, header.group, header.kind, header.host
    );
    let caught = match caught {
        Some(Caught { test, seed, seconds, message }) => {
            let name = &patch.name;
            format!(
                "{test}, under seed {seed}, after {seconds:.1} s of testing:\n{message}\n\n\
                 To see the same run again, with every event on a line:\n\
                 cargo run -p gallery -- show {name}"
            )
        }
        None if header.kind == Kind::Harmless => "not caught, because it is harmless".into(),
        None => "not caught".into(),
    };
    let harmless = header.harmless.as_deref().map(|why| ("Why it is harmless", why));
    let parts = [
        ("What is wrong", header.what.as_str()),
        ("The rule", &header.rule),
        ("What it breaks", &header.falls),
        ("How it happens", &header.schedule),
    ];
    let parts = parts.into_iter().chain(harmless).chain([("Caught by", caught.as_str())]);
    let parts: String =
        parts.map(|(title, text)| format!("{title}\n{}\n", indented(text))).collect();
    format!("{title}\n\n{parts}The change\n\n{}", patch.diff.trim_end())
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".into() } else { format!("  {line}\n") };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "Bug: 4 double_vote\nGroup: Election\nKind: safety\nHost: go_shape\n\
        What: it votes\n  twice\nRule: one vote (§5.2)\nFalls: Election Safety\nSchedule: two ask\n\
        ---\n+++ b/labtests/examples/go_shape.rs\n";

    fn caught() -> Caught {
        let (test, message) = ("re_election".into(), "two leaders".into());
        Caught { test, seed: 7, seconds: 1.25, message }
    }

    #[test]
    fn a_row_begins_with_the_name_and_says_what_caught_it() {
        let patch = Patch::parse("double_vote", PATCH).unwrap();
        let words = |row: Row| row.fit(None).split_whitespace().collect::<Vec<_>>().join(" ");
        let seen = words(row(&patch, 28, Some(&caught())));
        assert_eq!(seen, "double_vote safety re_election, seed 7, 1.2 s");
        assert_eq!(words(row(&patch, 28, None)), "double_vote safety not caught");
    }

    #[test]
    fn a_lesson_has_everything() {
        let patch = Patch::parse("double_vote", PATCH).unwrap();
        let lesson = lesson(&patch, Some(&caught()));
        let words = [
            "double_vote: bug 4, Election, safety, in go_shape\n\n",
            "What is wrong\n  it votes\n  twice\n",
            "The rule\n  one vote (§5.2)\n",
            "What it breaks\n  Election Safety\n",
            "How it happens\n  two ask\n",
            "  re_election, under seed 7, after 1.2 s of testing:\n  two leaders\n\n",
            "  cargo run -p gallery -- show double_vote\n",
            "\n\n+++ b/labtests",
        ];
        let places: Vec<_> = words.iter().map(|word| lesson.find(word).expect(word)).collect();
        assert!(places.is_sorted(), "{lesson}");
    }
}
