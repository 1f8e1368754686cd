//! One run of the command over tests and seeds.

use super::args::Flags;
use super::out::Out;
use super::progress::Progress;
use super::work::Work;
use crate::invariants::Coverage;
use crate::lab::Lab;
use crate::report::{self, Again, Causes, Counts, JsonFile, Names, Sweep, Unreached};
use crate::runner::{self, Report, World};
use labrpc::time::{Duration, Instant};
use std::ops::ControlFlow;

/// What it is told, and what it has seen so far.
pub struct Session {
    work: Work,
    names: Names,
    world: World,
    jobs: usize,
    fail_fast: bool,
    strict: bool,
    /// Many seeds: a table at the end, and only failures before.
    sweeps: Option<Vec<Sweep>>,
    json: Option<JsonFile>,
    progress: Progress,
    out: Out,
    /// How to see a failure again.
    again: Again,
    counts: Counts,
    coverage: Coverage,
    unreached: Unreached,
    failures: Causes,
    warnings: Causes,
    lab_time: Duration,
}

/// How many tests run at once on real threads: most of the time they sleep.
const REAL_JOBS: usize = 8;

/// After so many failures in full, further ones get a line.
const STORIES: u64 = 3;

/// With fewer seeds than this, a bug that shows under one seed in five goes unseen more often than once in twenty times.
const ENOUGH_SEEDS: u64 = 14;

impl Session {
    /// Prepares to do the work.
    ///
    /// # Errors
    /// The file for the results can't be written.
    pub fn new(work: Work, flags: &Flags, again: Again, out: Out) -> Result<Session, String> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let json = flags.json.as_deref().map(JsonFile::create).transpose()?;
        Ok(Session {
            progress: Progress::new(work.runs()),
            out,
            again,
            sweeps: work.is_sweep().then(|| work.tests().map(Sweep::new).collect()),
            counts: Counts { not_run: work.runs(), ..Counts::default() },
            names: Names::of(work.tests()),
            work,
            world: if flags.real { World::Real } else { World::Simulated },
            jobs: flags.jobs.unwrap_or(if flags.real { REAL_JOBS } else { cpus }),
            fail_fast: flags.fail_fast,
            strict: flags.strict,
            json,
            coverage: Coverage::default(),
            unreached: Unreached::default(),
            failures: Causes::default(),
            warnings: Causes::default(),
            lab_time: Duration::ZERO,
        })
    }

    /// Does the work. Whether all of it passed.
    ///
    /// # Errors
    /// What there is to say could not be written.
    pub fn run(mut self, lab: &Lab) -> Result<bool, String> {
        let began = Instant::now();
        if self.sweeps.is_none() {
            self.say(&report::row_header(self.names));
        }
        let (runs, world, jobs) = (self.work.clone().into_runs(), self.world, self.jobs);
        runner::run_all(lab, runs, world, jobs, |report| self.take(&report));
        self.progress.finish();
        if let Some(sweeps) = &self.sweeps {
            self.out.line(Sweep::header(self.names));
            let ran = sweeps.iter().filter(|sweep| !sweep.is_empty());
            ran.for_each(|sweep| self.out.line(sweep.row(self.names)));
        }
        if self.counts.failed > 1 {
            self.out.line("what failed, by cause:");
            self.failures.lines().iter().for_each(|cause| self.out.line(cause));
        }
        if self.counts.failed > STORIES {
            self.out.line("the first failures are told in full; replay tells of the others");
        }
        if self.work.runs() == 0 {
            self.out.line("of what was selected nothing is in this shard");
        }
        self.out.line(report::summary(self.counts, began.elapsed(), self.lab_time));
        for what in self.coverage.unchecked() {
            self.out.line(format!("not checked on this Raft: {what}"));
        }
        if let Some(why) = lab.why_threads() {
            self.out.line(why);
        }
        self.unreached.lines().for_each(|line| self.out.line(line));
        let well = self.counts.failed == 0 && !(self.strict && self.unreached.any());
        for warning in self.warnings.in_full() {
            self.out.line(format!("warning, {warning}"));
        }
        if let Some(doubt) = self.too_short() {
            self.out.line(doubt);
        }
        self.json.map_or(Ok(()), JsonFile::finish)?;
        self.out.finish()?;
        Ok(well)
    }

    /// What to think of a run that has found nothing, and was short.
    fn too_short(&self) -> Option<String> {
        let seeds = self.work.seeds();
        let counts = self.world == World::Simulated && self.counts.failed == 0;
        if !counts || self.counts.passed == 0 || seeds >= ENOUGH_SEEDS {
            return None;
        }
        let under = if seeds == 1 { "1 seed".into() } else { format!("{seeds} seeds") };
        let unseen = 100.0 * 0.8_f64.powi(i32::try_from(seeds).unwrap_or(i32::MAX));
        Some(format!(
            "this was {under}: a bug that shows under one seed in five goes unseen in {unseen:.0} of 100 such runs. \
             --seeds 20 leaves 1 of 100"
        ))
    }

    /// Takes a run in, in the order of the work. So `--fail-fast` ends at the same failure with any number of jobs.
    fn take(&mut self, report: &Report) -> ControlFlow<()> {
        let failed = report.result.is_err();
        self.counts.add(failed);
        self.lab_time += report.lab_time;
        self.coverage.add(&report.coverage);
        self.unreached.add(report);
        self.show_how_far();
        if let Some(json) = &mut self.json {
            json.add(report);
        }
        match &mut self.sweeps {
            None => self.say(&report::row(report, self.names)),
            Some(sweeps) => {
                let sweep = sweeps.iter_mut().find(|sweep| sweep.test().name == report.test.name);
                sweep.into_iter().for_each(|sweep| sweep.add(report));
                self.say_how_far();
            }
        }
        if let Err(failure) = &report.result {
            self.failures.add(report, failure);
            if self.counts.failed <= STORIES {
                self.say(&format!("\n{}\n", report::failure(report, &self.again)));
            } else {
                self.say(&report::failure_line(report, failure));
            }
        } else {
            report.warnings.iter().for_each(|warning| self.warnings.add(report, warning));
        }
        if failed && self.fail_fast { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn show_how_far(&self) {
        let Counts { passed, failed, .. } = self.counts;
        self.progress.advance(format!("{passed} passed, {failed} failed"));
    }

    fn say_how_far(&mut self) {
        if self.progress.line_due() {
            let Counts { passed, failed, not_run } = self.counts;
            let ended = passed + failed;
            self.say(&format!("{ended} of {} runs, {failed} failed", ended + not_run));
        }
    }

    /// Prints a line above the progress bar.
    fn say(&mut self, text: &str) {
        self.progress.say(&mut self.out, text);
    }
}
