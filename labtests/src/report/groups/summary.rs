//! The groups of failures for programs.

use super::{Failed, Group, Groups, Key, OfTest};
use crate::outcome::World;
use crate::report::Again;
use serde::Serialize;

/// All groups, the most frequent first.
#[derive(Serialize)]
pub struct Summary<'a> {
    groups: Vec<JsonGroup<'a>>,
    /// How many failures are in no group, because there are too many groups.
    ungrouped: u64,
}

#[derive(Serialize)]
struct JsonGroup<'a> {
    group: usize,
    #[serde(flatten)]
    key: &'a Key,
    message: &'a str,
    runs: u64,
    shortest: JsonFailed<'a>,
    tests: Vec<JsonTest<'a>>,
}

#[derive(Serialize)]
struct JsonFailed<'a> {
    part: &'static str,
    test: &'static str,
    seed: u64,
    at_seconds: f64,
    place: Option<&'a str>,
    replay: String,
}

#[derive(Serialize)]
struct JsonTest<'a> {
    part: &'static str,
    test: &'static str,
    runs: u64,
    first_seeds: &'a [u64],
}

impl Groups {
    /// The groups; `None` if nothing failed.
    pub fn summary(&self, again: &Again, world: World) -> Option<Summary<'_>> {
        let groups: Vec<_> =
            self.by_frequency().into_iter().map(|group| group.json(again, world)).collect();
        (!groups.is_empty()).then_some(Summary { groups, ungrouped: self.others })
    }
}

impl Group {
    fn json(&self, again: &Again, world: World) -> JsonGroup<'_> {
        let Failed { test, seed, at, message, place } = &self.shortest;
        let shortest = JsonFailed {
            part: test.part,
            test: test.name,
            seed: *seed,
            at_seconds: at.as_secs_f64(),
            place: place.as_deref(),
            replay: again.command(world, test, *seed),
        };
        let tests = self.tests.iter().map(|OfTest { test, runs, first_seeds }| JsonTest {
            part: test.part,
            test: test.name,
            runs: *runs,
            first_seeds,
        });
        JsonGroup {
            group: self.number,
            key: &self.key,
            message,
            runs: self.runs,
            shortest,
            tests: tests.collect(),
        }
    }
}
