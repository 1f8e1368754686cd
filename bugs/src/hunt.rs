//! Runs the lab's tests on a program with a bug.

use crate::tree::failed;
use gallery::record::Caught;
use labrpc::time::{Duration, Instant, sleep};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

/// More seeds than fit into the time, the same for every bug. The runs still end after some minutes if this process is killed.
const SEEDS: &str = "1000";

/// The time limits are set for two cores.
const JOBS: &str = "2";

/// Runs all tests under seed 1, then all under seed 2, and so on, until one fails or the time is up.
///
/// # Errors
/// The program can't be run, or ends in a way in which `raftlab` doesn't end.
pub fn hunt(program: &Path, results: &Path, limit: Duration) -> Result<Option<Caught>, String> {
    let log = results.with_extension("log");
    let said = File::create(&log).map_err(failed("write", &log))?;
    let mut command = Command::new(program);
    // Strict, because leaving threads behind is a bug, too.
    command.args(["--strict", "--seeds", SEEDS, "--jobs", JOBS, "--fail-fast"]);
    command.args(["--shrink-runs", "0", "--json"]);
    command.arg(results);
    command.stdout(said.try_clone().map_err(failed("write", &log))?).stderr(said);
    let began = Instant::now();
    let child = command.spawn().map_err(failed("run", program))?;
    let status = wait(child, limit).map_err(failed("wait for", program))?;
    let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    match status {
        None => Ok(None),
        Some(status) if status.success() => Ok(None),
        Some(status) if status.code() == Some(1) => first_failure(results, seconds).map(Some),
        Some(status) => Err(format!("the program ended with {status}; see {}", log.display())),
    }
}

/// How the child ended; `None` if it had to be killed.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(20));
    }
}

/// A line of the output of `--json`. After the runs there are lines of other kinds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Run(Run),
    Other(IgnoredAny),
}

/// The part of a run that is needed here.
#[derive(Deserialize)]
struct Run {
    test: String,
    seed: u64,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

fn first_failure(results: &Path, seconds: f64) -> Result<Caught, String> {
    let file = File::open(results).map_err(failed("read", results))?;
    let lines: Vec<Line> = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| format!("{}: {error}", results.display()))?;
    let failure = lines.into_iter().find_map(|line| {
        let Line::Run(Run { test, seed, failure }) = line else { return None };
        let message = failure?.message.lines().next().unwrap_or_default().to_string();
        Some(Caught { test, seed, seconds, message })
    });
    failure.ok_or_else(|| format!("{}: no run failed", results.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    /// The result of a hunt in a program with this script. `${10}` is the file for the results.
    fn hunt_in(script: &str, limit: Duration) -> Result<Option<Caught>, String> {
        let folder = TempDir::new().unwrap();
        let (text, program) = (folder.path().join("text"), folder.path().join("program"));
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&text, PermissionsExt::from_mode(0o755)).unwrap();
        // The program is copied by another process. A file that this process has open for writing can't be run. It can't be run
        // for a moment after that either, if a child that another test has just forked still has the file open.
        assert!(Command::new("cp").arg(&text).arg(&program).status().unwrap().success());
        hunt(&program, &folder.path().join("bug.json"), limit)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_failure_is_what_caught_it() {
        let json = r#"[{"test": "backup", "seed": 1, "failure": null},
            {"test": "rejoin", "seed": 2, "failure": {"message": "two values\n  more"}},
            {"test": "persist1", "seed": 2, "failure": {"message": "later"}},
            {"groups": [{"group": 1}], "ungrouped": 0}]"#;
        let script = format!("cat > \"${{10}}\" <<'EOF'\n{}\nEOF\nexit 1", json.replace('\n', " "));
        let caught =
            hunt_in(&script.replace("two values ", "two values\\n"), LONG).unwrap().unwrap();
        assert_eq!((caught.test.as_str(), caught.seed), ("rejoin", 2));
        assert_eq!(caught.message, "two values");
    }

    #[test]
    fn a_program_that_passes_or_hangs_is_not_caught() {
        assert_eq!(hunt_in("exit 0", LONG), Ok(None));
        assert_eq!(hunt_in("exec sleep 1000", Duration::from_millis(100)), Ok(None));
    }

    #[test]
    fn a_program_that_ends_otherwise_tells_nothing() {
        assert!(hunt_in("exit 2", LONG).unwrap_err().contains("bug.log"));
        assert!(hunt_in("kill -9 $$", LONG).unwrap_err().contains("signal"));
        assert!(
            hunt_in("echo '[]' > \"${10}\"; exit 1", LONG).unwrap_err().contains("no run failed")
        );
        assert!(hunt_in("exit 1", LONG).unwrap_err().contains("can't read"));
    }
}
