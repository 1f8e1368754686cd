//! One run of the command over tests and seeds.

use super::End;
use super::args::Flags;
use super::found::Found;
use super::out::Out;
use super::progress::Progress;
use super::resume::Checkpoint;
use super::shorten::Shortener;
use super::work::Work;
use crate::interrupt::{Interrupt, Interrupted};
use crate::lab::Lab;
use crate::report::{self, Again, Counts, JsonFile, Names, Row, Sweep};
use crate::runner::{self, Report, World};
use labrpc::time::{Duration, Instant};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The settings of a session, and what it has seen so far.
pub struct Session {
    work: Work,
    names: Names,
    world: World,
    jobs: usize,
    fail_fast: bool,
    strict: bool,
    json: Option<JsonFile>,
    checkpoint: Option<Checkpoint>,
    progress: Progress,
    shortener: Option<Shortener>,
    out: Out,
    /// How to see a failure again.
    again: Again,
    found: Found,
    began: Instant,
    /// Why something can no longer be written.
    error: Option<String>,
    /// Where the results are, apart from the printed lines.
    saved: Option<String>,
}

/// How many tests run at the same time on real threads: they sleep most of the time.
const REAL_JOBS: usize = 8;

/// How many failures are printed in full. Each later one gets one line.
const STORIES: u64 = 3;

/// With fewer seeds than this, a bug that shows under one seed in five is missed more than once in twenty times.
const ENOUGH_SEEDS: u64 = 14;

impl Session {
    /// Prepares to do the work.
    ///
    /// # Errors
    /// The file for the results can't be written, or the file of an earlier session can't be resumed.
    pub fn new(work: Work, flags: &Flags, again: Again, out: Out) -> Result<Session, String> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let world = if flags.real { World::Real } else { World::Simulated };
        let json = flags.json.as_deref().map(JsonFile::create).transpose()?;
        if flags.resume.is_some() && !work.is_sweep() {
            return Err("--resume is for sweeps: add --seeds N".into());
        }
        let open = |path: &PathBuf| Checkpoint::open(path, &work, world, flags.strict);
        let (checkpoint, before) = flags.resume.as_ref().map(open).transpose()?.unzip();
        let found = before.flatten().unwrap_or_else(|| Found::nothing(&work));
        let progress = Progress::new(work.runs());
        progress.begin_at(found.runs());
        Ok(Session {
            progress,
            out,
            again,
            names: Names::of(work.tests()),
            shortener: Shortener::of(flags),
            work,
            world,
            jobs: flags.jobs.unwrap_or(if flags.real { REAL_JOBS } else { cpus }),
            fail_fast: flags.fail_fast,
            strict: flags.strict,
            json,
            checkpoint,
            found,
            began: Instant::now(),
            error: None,
            saved: None,
        })
    }

    /// Does the work.
    ///
    /// # Errors
    /// The output could not be written.
    pub fn run(mut self, lab: &Lab) -> Result<End, String> {
        if self.found.sweeps.is_none() {
            self.say_row(&report::row_header(self.names));
        }
        if self.found.runs() > 0 {
            self.say(&format!("resuming after {} runs", self.found.runs()));
        }
        let done = usize::try_from(self.found.runs()).unwrap_or(usize::MAX);
        let (runs, world, jobs) = (self.work.clone().into_runs().skip(done), self.world, self.jobs);
        let interrupted = runner::run_all(lab, runs, world, jobs, |report| self.take(lab, &report));
        self.progress.finish();
        let kept = self.keep();
        let interrupted = interrupted.and_then(|it| self.take_early(lab, it));
        // Write the files first, because the reader of the printed lines may have stopped reading.
        let written = kept.and(self.finish_json(interrupted));
        self.conclude(lab);
        interrupted.into_iter().for_each(|by| self.say_interrupted(by));
        let unread = self.out.is_broken();
        let said = self.out.finish();
        written?;
        if let Some(by) = interrupted {
            // The terminal may have been closed, which is not an error.
            return Ok(End::Interrupted(by));
        }
        said?;
        let Found { counts, unreached, .. } = &self.found;
        Ok(if counts.failed > 0 || self.strict && unreached.any() {
            End::Failed
        } else if unread && counts.not_run > 0 {
            End::Unread
        } else {
            End::Well
        })
    }

    /// Saves the progress of the sweep. This is the last time that anything is saved.
    fn keep(&mut self) -> Result<(), String> {
        let Some(mut checkpoint) = self.checkpoint.take() else { return Ok(()) };
        self.error.take().map_or(Ok(()), Err)?;
        checkpoint.keep(&self.found, self.wall())?;
        let (file, runs) = (checkpoint.path().display(), self.found.runs());
        self.saved = Some(format!("run again with --resume {file} to continue after {runs} runs"));
        Ok(())
    }

    /// Adds results that came out of order, because nobody waits any more for the missing runs before them. Returns what
    /// interrupted the work, unless all of it was done.
    fn take_early(
        &mut self,
        lab: &Lab,
        Interrupted { by, early }: Interrupted<Report>,
    ) -> Option<Interrupt> {
        self.out.insist();
        self.shortener = None; // the user wants the end
        early.iter().for_each(|report| _ = self.take(lab, report));
        (self.found.counts.not_run > 0).then_some(by)
    }

    fn finish_json(&mut self, interrupted: Option<Interrupt>) -> Result<(), String> {
        let Some(mut json) = self.json.take() else { return Ok(()) };
        if let Some(by) = interrupted {
            json.add_incomplete(by, self.found.counts.not_run);
        }
        self.saved =
            Some(format!("{} has these results and is marked incomplete", json.path().display()));
        json.finish().inspect_err(|_| self.saved = None)
    }

    /// Prints the last line of a session that was interrupted.
    fn say_interrupted(&mut self, by: Interrupt) {
        let runs = self.found.runs();
        let all = runs + self.found.counts.not_run;
        let advice = "with --resume FILE, the next sweep could continue from here";
        let advice = (self.work.is_sweep() && runs > 0).then(|| advice.into());
        let saved = self.saved.take().or(advice).map_or(String::new(), |text| format!(": {text}"));
        self.out.line(format!("interrupted by {by} after {runs} of {all} runs{saved}"));
    }

    /// How much wall time it took so far, including earlier sessions.
    fn wall(&self) -> Duration {
        self.found.wall + self.began.elapsed()
    }

    /// Prints the last lines.
    fn conclude(&mut self, lab: &Lab) {
        let Found { counts, sweeps, coverage, unreached, failures, warnings, lab_time, .. } =
            &self.found;
        let summary = report::summary(*counts, self.wall(), *lab_time);
        let out = &mut self.out;
        if let Some(sweeps) = sweeps.as_ref().filter(|_| counts.passed + counts.failed > 0) {
            out.row(&Sweep::header(self.names));
            let ran = sweeps.iter().filter(|sweep| !sweep.is_empty());
            ran.for_each(|sweep| out.row(&sweep.row(self.names)));
        }
        if counts.failed > 1 {
            out.line("failures by cause:");
            failures.lines().iter().for_each(|cause| out.line(cause));
        }
        if counts.failed > STORIES {
            out.line("only the first failures are printed in full; use replay to see the others");
        }
        out.line(summary);
        for what in coverage.unchecked() {
            out.line(format!("not checked on this Raft: {what}"));
        }
        if let Some(why) = lab.why_threads() {
            out.line(why);
        }
        unreached.lines().for_each(|line| out.line(line));
        for warning in warnings.in_full() {
            out.line(format!("warning, {warning}"));
        }
        if let Some(doubt) = self.too_short() {
            self.out.line(doubt);
        }
    }

    /// A note for a run that was short and found nothing.
    fn too_short(&self) -> Option<String> {
        let seeds = self.work.seeds();
        let Counts { passed, failed, not_run } = self.found.counts;
        let counts = self.world == World::Simulated && failed == 0 && not_run == 0;
        if !counts || passed == 0 || seeds >= ENOUGH_SEEDS {
            return None;
        }
        let under = if seeds == 1 { "1 seed".into() } else { format!("{seeds} seeds") };
        let unseen = 100.0 * 0.8_f64.powi(i32::try_from(seeds).unwrap_or(i32::MAX));
        Some(format!(
            "this was {under}: {unseen:.0} of 100 such runs miss a bug that shows under one seed in five. \
             With --seeds 20, 1 of 100 misses it"
        ))
    }

    /// Adds the result of a run, in the order of the work. That way `--fail-fast` ends at the same failure with any number of
    /// jobs.
    fn take(&mut self, lab: &Lab, report: &Report) -> ControlFlow<()> {
        self.found.add(report);
        self.show_how_far();
        if let Some(json) = &mut self.json {
            json.add(report);
        }
        match self.found.sweeps {
            None => self.say_row(&report::row(report, self.names)),
            Some(_) => self.say_how_far(),
        }
        if let Err(failure) = &report.result {
            if self.found.counts.failed <= STORIES {
                self.say(&format!("\n{}", report::failure(report, &self.again)));
                let short = self.shortener.as_ref().and_then(|shortener| {
                    shortener.shorten(lab, report, &self.again, &self.progress)
                });
                self.say(&short.map_or(String::new(), |short| short + "\n"));
            } else {
                self.say(&report::failure_line(report, failure));
            }
        }
        let wall = self.wall();
        if let Some(checkpoint) = &mut self.checkpoint {
            self.error = checkpoint.keep_now_and_then(&self.found, wall).err();
        }
        let ends =
            report.result.is_err() && self.fail_fast || self.error.is_some() || self.is_in_vain();
        if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether nobody would ever learn the results of the remaining runs.
    fn is_in_vain(&self) -> bool {
        self.out.is_broken() && self.json.is_none() && self.checkpoint.is_none()
    }

    fn show_how_far(&self) {
        self.progress.advance(format!("{} failed", self.found.counts.failed));
    }

    fn say_how_far(&mut self) {
        if self.progress.line_due() {
            let Counts { passed, failed, not_run } = self.found.counts;
            let ended = passed + failed;
            self.say(&format!("{ended} of {} runs, {failed} failed", ended + not_run));
        }
    }

    fn say_row(&mut self, row: &Row) {
        self.say(&row.fit(self.out.width()));
    }

    /// Prints a line above the progress bar.
    fn say(&mut self, text: &str) {
        self.progress.say(&mut self.out, text);
    }
}
