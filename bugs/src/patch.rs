//! The contents of a patch file: a header, a line `---`, and a diff that `git apply` accepts.
//!
//! A line of the header is `Key: text`. A line that is indented by two spaces continues that text.

use serde::Deserialize;
use std::fmt::{self, Display};

/// One bug of the gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Its number among the classic bugs.
    pub number: u32,
    /// The name of its file, without `.patch`.
    pub name: String,
    /// The explanation.
    pub header: Header,
    /// The bug itself.
    pub diff: String,
}

/// What comes before the `---`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Header {
    /// Number and name.
    pub bug: String,
    /// The part of Raft with the bug.
    pub group: Group,
    /// How bad it is.
    pub kind: Kind,
    /// The Raft that it is put into.
    pub host: Host,
    /// What the buggy code does.
    pub what: String,
    /// The rule of the paper that it breaks, with its section.
    pub rule: String,
    /// The property of Figure 3 that no longer holds, or the limit that is exceeded.
    pub falls: String,
    /// The schedule that shows the bug, in words. Servers are S0, S1 and so on, as in failure messages.
    pub schedule: String,
    /// Why the bug does no harm, if it does none.
    pub harmless: Option<String>,
}

/// A part of Raft, or of what is built on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "these are the words themselves")]
pub enum Group {
    Election,
    Replication,
    Persistence,
    Snapshot,
    Apply,
    Service,
    PreVote,
    Transfer,
    Reads,
    Membership,
    Flow,
}

/// What a bug breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A safety property of Figure 3, or the service's results.
    Safety,
    /// Progress.
    Liveness,
    /// The limits on messages, bytes or time.
    Budget,
    /// Nothing in the paper, but the lab's tests forbid it.
    Legal,
    /// Nothing; the header says why.
    Harmless,
}

/// The program into which a patch puts its bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// `src/raft`, and the service on top of it, `src/kv`.
    Reference,
    /// `labtests/examples/go_shape.rs`.
    GoShape,
    /// `labtests/examples/go_kv.rs`, the services on top of it.
    GoKv,
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Safety => "safety",
            Kind::Liveness => "liveness",
            Kind::Budget => "budget",
            Kind::Legal => "legal",
            Kind::Harmless => "harmless",
        })
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Host::Reference => "reference",
            Host::GoShape => "go_shape",
            Host::GoKv => "go_kv",
        })
    }
}

impl Host {
    /// Whether the file is part of this program. A bug is in the program, never in its tests.
    fn has(self, path: &str) -> bool {
        match self {
            Host::Reference => {
                let ours = ["src/raft/", "src/kv/"].iter().any(|folder| path.starts_with(folder));
                ours && !path.contains("..")
            }
            Host::GoShape => path == "labtests/examples/go_shape.rs",
            Host::GoKv => path == "labtests/examples/go_kv.rs",
        }
    }
}

impl Patch {
    /// Whether the tests should catch the bug.
    pub fn must_be_caught(&self) -> bool {
        self.header.kind != Kind::Harmless
    }

    /// Reads a patch file from its text.
    ///
    /// # Errors
    /// The header is malformed, or the diff doesn't fit its host.
    pub fn parse(name: &str, text: &str) -> Result<Patch, String> {
        let parsed = Patch::parse_text(text).and_then(|patch| patch.lint(name).map(|()| patch));
        parsed.map_err(|wrong| format!("{name}.patch: {wrong}"))
    }

    fn parse_text(text: &str) -> Result<Patch, String> {
        let (header, diff) = text.split_once("\n---\n").ok_or("no line `---` before the diff")?;
        let fields = fields(header)?.into_iter().map(|(key, text)| (key, text.into()));
        let header: Header =
            serde_json::from_value(serde_json::Value::Object(fields.collect())).map_err(words)?;
        let (number, name) =
            header.bug.split_once(' ').ok_or("Bug: must be a number and a name")?;
        let number = number.parse().map_err(|_| format!("Bug: {number:?} is not a number"))?;
        Ok(Patch { number, name: name.into(), diff: diff.into(), header })
    }

    fn lint(&self, name: &str) -> Result<(), String> {
        if self.name != name {
            return Err(format!(
                "Bug: has the name {:?}, but it must have the file's name",
                self.name
            ));
        }
        let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(snake) {
            return Err("names must consist of a-z, 0-9 and _".into());
        }
        let harmless = matches!(self.header.kind, Kind::Legal | Kind::Harmless);
        if harmless != self.header.harmless.is_some() {
            return Err(
                "Harmless: must say why a bug is harmless or legal; other bugs must not have this key".into()
            );
        }
        let mut paths = self.paths().peekable();
        if paths.peek().is_none() {
            return Err("the diff of git is missing".into());
        }
        match paths.find(|path| !self.header.host.has(path)) {
            Some(path) => Err(format!("{path} is not part of {}", self.header.host)),
            None => Ok(()),
        }
    }

    /// The files that the diff changes.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.diff.lines().filter_map(|line| line.strip_prefix("+++ b/"))
    }
}

/// The header's keys and texts. The texts keep their line breaks.
fn fields(header: &str) -> Result<Vec<(String, String)>, String> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.lines() {
        if let Some(more) = line.strip_prefix("  ") {
            let (_, text) = fields.last_mut().ok_or("the first line has no key")?;
            text.push('\n');
            text.push_str(more.trim_end());
            continue;
        }
        let (key, text) =
            line.split_once(':').ok_or(format!("{line:?} is neither `Key: text` nor indented"))?;
        if fields.iter().any(|(other, _)| other == key) {
            return Err(format!("{key}: occurs twice"));
        }
        fields.push((key.into(), text.trim().into()));
    }
    match fields.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((key, _)) => Err(format!("{key}: has no text")),
        None => Ok(fields),
    }
}

/// serde's error message, in the words of a header: serde says "field" for a key and "variant" for a value.
fn words(error: serde_json::Error) -> String {
    error.to_string().replace("field", "key").replace("variant", "value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
Bug: 20 commit_old_term
Group: Replication
Kind: safety
Host: reference
What: a
  b
Rule: c: d
Falls: e
Schedule: f
---
diff --git a/src/raft/rules.rs b/src/raft/rules.rs
--- a/src/raft/rules.rs
+++ b/src/raft/rules.rs
@@ -1 +1 @@
-x
+y
";

    #[test]
    fn a_patch_is_what_its_file_says() {
        let patch = Patch::parse("commit_old_term", GOOD).unwrap();
        assert_eq!((patch.number, patch.name.as_str()), (20, "commit_old_term"));
        let header = &patch.header;
        assert_eq!((header.group, header.kind), (Group::Replication, Kind::Safety));
        assert_eq!((header.what.as_str(), header.rule.as_str()), ("a\nb", "c: d"));
        assert!(patch.must_be_caught());
        assert!(patch.diff.starts_with("diff --git"));
        assert_eq!(patch.paths().collect::<Vec<_>>(), ["src/raft/rules.rs"]);
    }

    #[track_caller]
    fn wrong(from: &str, to: &str, word: &str) {
        assert!(GOOD.contains(from));
        let error = Patch::parse("commit_old_term", &GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with("commit_old_term.patch: "), "{error}");
        assert!(error.contains(word), "{word:?} is missing from {error:?}");
    }

    #[test]
    fn a_header_has_every_key_once_and_no_other() {
        for key in ["Bug", "Group", "Kind", "Host", "Rule", "Falls", "Schedule"] {
            let line = GOOD.lines().find(|line| line.starts_with(key)).unwrap();
            wrong(&format!("{line}\n"), "", &format!("missing key `{key}`"));
        }
        wrong("Rule: c: d", "Rule: c\nRule: d", "Rule: occurs twice");
        wrong("Rule: c", "Rules: c", "unknown key `Rules`");
        wrong("Rule: c: d", "Rule:", "Rule: has no text");
        wrong("Rule: c: d", "Rule", "neither `Key: text`");
        wrong("Bug:", "  Bug:", "the first line has no key");
    }

    #[test]
    fn values_are_known() {
        wrong("Replication", "Logs", "unknown value `Logs`, expected one of `Election`");
        wrong("safety", "Safety", "unknown value `Safety`");
        wrong("reference", "java", "unknown value `java`, expected one of `reference`, `go_shape`");
        wrong("20 ", "xx ", "\"xx\" is not a number");
        wrong("20 commit_old_term", "20", "a number and a name");
        wrong("20 commit", "20 comit", "it must have the file's name");
    }

    #[test]
    fn only_what_is_harmless_says_why() {
        wrong("safety", "harmless", "must say why");
        wrong("Schedule: f", "Schedule: f\nHarmless: g", "must say why");
        let harmless = GOOD.replace("safety", "harmless").replace("e: f", "e: f\nHarmless: g");
        assert!(!Patch::parse("commit_old_term", &harmless).unwrap().must_be_caught());
    }

    #[test]
    fn a_bug_is_in_its_host() {
        wrong("\n---\n", "\n", "no line `---`");
        wrong("+++ b/src/raft/rules.rs", "+++ b/labtests/src/checks.rs", "not part of reference");
        wrong("+++ b/", "+++ ", "the diff of git");
        wrong("reference", "go_shape", "src/raft/rules.rs is not part of go_shape");
        wrong("+++ b/src/raft/", "+++ b/src/raft/../", "not part of reference");
    }

    #[test]
    fn a_name_is_one_word_of_the_shell() {
        let error = Patch::parse("a b", &GOOD.replace("commit_old_term", "a b")).unwrap_err();
        assert!(error.contains("a-z"), "{error}");
    }
}
