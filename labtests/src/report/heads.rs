//! The head and the end of a story: which run it is, and how it ended.

use crate::outcome::{Report, World};
use crate::property::Property;
use crate::story::Concerns;
use crate::story::json::{FailureLine, Head, SCHEMA, Tail, ms};
use crate::suites::LabTest;
use labrpc::time::Duration;

/// The head of a run's story.
pub fn head(test: &LabTest, seed: u64) -> Head {
    Head {
        schema: SCHEMA,
        part: test.part.into(),
        test: test.name.into(),
        seed: Some(seed),
        world: Some(World::Simulated.name()),
        servers: test.setup.servers,
    }
}

/// The end of a run's story. `times` says when each event happened; `command` is the one that replays it.
pub fn tail(report: &Report, times: &[Duration], command: &str) -> Tail {
    let failure = report.result.as_ref().err();
    let failure = failure.map(|failure| {
        let Concerns { servers, indices, terms } =
            Concerns::of(&failure.message, report.test.setup.servers);
        let at = failure.since.unwrap_or(failure.at);
        let until = times.partition_point(|time| *time <= at);
        FailureLine {
            message: failure.to_string(),
            property: Property::of(failure).map(|property| property.to_string()),
            at_ms: ms(at),
            event: (until as u64).checked_sub(1),
            servers: servers.into_iter().collect(),
            indices: indices.into_iter().collect(),
            terms: terms.into_iter().collect(),
        }
    });
    Tail {
        end_ms: ms(report.lab_time),
        passed: Some(failure.is_none()),
        replay: command.into(),
        failure,
        fingerprint: format!("{:016x}", report.fingerprint),
    }
}
