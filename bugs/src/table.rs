//! The results of testing the bugs, as a table.

use gallery::patch::Patch;
use gallery::record::Caught;
use labrpc::time::Duration;

/// A bug with its result.
pub struct Tried<'a> {
    /// The bug.
    pub patch: &'a Patch,
    /// What caught it; or why it could not be tested.
    pub result: Result<Option<Caught>, String>,
    /// How long that took, including building.
    pub wall: Duration,
}

impl Tried<'_> {
    /// Whether the result is right: a harmless bug should not be caught, any other should.
    pub fn is_right(&self) -> bool {
        self.result.as_ref().is_ok_and(|caught| caught.is_some() == self.patch.must_be_caught())
    }

    /// The bug's name, kind and Raft, what caught it, and how long everything took, including building.
    pub fn row(&self) -> String {
        let what = match &self.result {
            Ok(Some(Caught { test, seed, seconds, .. })) => {
                format!("{test}, seed {seed}, {seconds:.1} s")
            }
            Ok(None) => "not caught".into(),
            Err(wrong) => wrong.clone(),
        };
        let header = &self.patch.header;
        let wall = self.wall.as_secs_f64();
        let name = &self.patch.name;
        format!("{name:<28} {:<9} {:<10} {wall:>6.1} s  {what}", header.kind, header.host)
    }
}

/// How many bugs have the right result, which ones have a wrong one, and how long it all took.
pub fn summary(tried: &[Tried<'_>], wall: Duration) -> String {
    let (mut caught, mut harmless, mut wrong) = (0, 0, Vec::new());
    for Tried { patch, result, .. } in tried {
        match (result, patch.must_be_caught()) {
            (Ok(Some(_)), true) => caught += 1,
            (Ok(None), false) => harmless += 1,
            (Ok(Some(_)), false) => wrong.push(format!("{}: harmless, but caught", patch.name)),
            (Ok(None), true) => wrong.push(format!("{}: NOT CAUGHT", patch.name)),
            (Err(_), _) => wrong.push(format!("{}: could not be tested", patch.name)),
        }
    }
    let all = tried.len();
    let wrong: String = wrong.iter().map(|line| format!("\n{line}")).collect();
    let (minutes, seconds) = (wall.as_secs() / 60, wall.as_secs() % 60);
    format!(
        "\n{all} bugs: {caught} caught, {harmless} harmless and not caught{wrong}\n\
         in {minutes} min {seconds} s"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(kind: &str) -> Patch {
        let harmless = if kind == "harmless" { "Harmless: so\n" } else { "" };
        let text = format!(
            "Bug: 1 {kind}_bug\nGroup: Apply\nKind: {kind}\nHost: reference\nWhat: a\nRule: b\n\
             Falls: c\nSchedule: d\n{harmless}\n---\n+++ b/src/raft/mod.rs\n"
        );
        Patch::parse(&format!("{kind}_bug"), &text.replace("\n\n", "\n")).unwrap()
    }

    fn caught() -> Result<Option<Caught>, String> {
        let (test, message) = ("rejoin".into(), "two values".into());
        Ok(Some(Caught { test, seed: 3, seconds: 0.5, message }))
    }

    #[test]
    fn what_bites_is_to_be_caught_and_what_is_harmless_is_not() {
        let (biting, harmless) = (patch("budget"), patch("harmless"));
        let wall = Duration::from_secs(61);
        let tried = |patch, result| Tried { patch, result, wall };
        let right = [tried(&biting, caught()), tried(&harmless, Ok(None))];
        let wrong = [
            tried(&biting, Ok(None)),
            tried(&harmless, caught()),
            tried(&harmless, Err("it died".into())),
        ];
        assert!(right.iter().all(Tried::is_right) && !wrong.iter().any(Tried::is_right));
        let said = summary(&right, wall);
        assert_eq!(said, "\n2 bugs: 1 caught, 1 harmless and not caught\nin 1 min 1 s");
        let said = summary(&wrong, wall);
        for word in ["budget_bug: NOT CAUGHT", "harmless, but caught", "could not be tested"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(right[0].row().ends_with("rejoin, seed 3, 0.5 s"));
    }
}
