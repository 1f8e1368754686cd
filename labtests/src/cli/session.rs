//! One run of the command over tests and seeds.

use super::End;
use super::args::Flags;
use super::files::Files;
use super::found::Found;
use super::groups::Telling;
use super::out::Out;
use super::pages::Drawings;
use super::progress::Progress;
use super::resume::Checkpoint;
use super::shorten::{Shortened, Shortener};
use super::work::Work;
use crate::interrupt::{Interrupt, Interrupted};
use crate::lab::Lab;
use crate::report::{self, Again, Counts, Names, Row, Runs, Sweep};
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
    files: Files,
    /// The pages of runs.
    drawings: Option<Drawings>,
    checkpoint: Option<Checkpoint>,
    progress: Progress,
    shortener: Option<Shortener>,
    out: Out,
    /// How to see a failure again.
    again: Again,
    found: Found,
    telling: Telling,
    began: Instant,
    /// Why something can no longer be written.
    error: Option<String>,
    /// Where the results are, apart from the printed lines.
    saved: Option<String>,
}

/// How many tests run at the same time on real threads: they sleep most of the time.
const REAL_JOBS: usize = 8;

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
        let files = Files::create(flags)?;
        let drawings = Drawings::prepare(flags, &again)?;
        if flags.resume.is_some() && !work.is_sweep() {
            return Err("--resume is for sweeps: add --seeds N".into());
        }
        if flags.resume.is_some() && flags.json.is_some() {
            return Err(
                "--resume cannot be used with --json: a file of --json has every run".into()
            );
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
            files,
            drawings,
            checkpoint,
            found,
            telling: Telling::default(),
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
        let written = kept.and(self.finish_files(interrupted));
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
        self.error.take().map_or(Ok(()), Err)?;
        let Some(mut checkpoint) = self.checkpoint.take() else { return Ok(()) };
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
        (self.shortener, self.drawings) = (None, None); // the user wants the end
        early.iter().for_each(|report| _ = self.take(lab, report));
        (self.found.counts.not_run > 0).then_some(by)
    }

    fn finish_files(&mut self, interrupted: Option<Interrupt>) -> Result<(), String> {
        let files = std::mem::take(&mut self.files);
        let saved = files.finish(&self.found, self.runs(), interrupted)?;
        self.saved = self.saved.take().or(saved);
        Ok(())
    }

    fn runs(&self) -> Runs<'_> {
        Runs { again: &self.again, world: self.world, is_sweep: self.work.is_sweep() }
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
        let Found { counts, sweeps, coverage, unreached, warnings, lab_time, .. } = &self.found;
        let summary = report::summary(*counts, self.wall(), *lab_time);
        let groups = self.telling.conclude(&self.found, self.runs(), self.out.width());
        let out = &mut self.out;
        if let Some(sweeps) = sweeps.as_ref().filter(|_| counts.passed + counts.failed > 0) {
            out.row(&Sweep::header(self.names));
            let ran = sweeps.iter().filter(|sweep| !sweep.is_empty());
            ran.for_each(|sweep| out.row(&sweep.row(self.names)));
        }
        groups.into_iter().for_each(|groups| out.line(groups));
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
        let group = self.found.add(report);
        self.show_how_far();
        let runs = Runs { again: &self.again, world: self.world, is_sweep: self.work.is_sweep() };
        self.files.add(report, group, runs);
        let told = self.telling.tell(report, group, runs, self.out.width());
        match self.found.sweeps {
            None => self.say_row(&report::row(report, self.names)),
            Some(_) => self.say_how_far(),
        }
        if let Err(wrong) = self.tell(lab, report, told) {
            self.error = Some(wrong);
        }
        let wall = self.wall();
        if let Some(checkpoint) = &mut self.checkpoint {
            let kept = checkpoint.keep_now_and_then(&self.found, wall).err();
            self.error = self.error.take().or(kept);
        }
        let ends =
            report.result.is_err() && self.fail_fast || self.error.is_some() || self.is_in_vain();
        if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Prints the text about a failed run; if it is the whole report, also its short version. Writes the pages.
    fn tell(
        &mut self,
        lab: &Lab,
        report: &Report,
        told: Option<(String, bool)>,
    ) -> Result<(), String> {
        let is_whole = told.as_ref().is_some_and(|(_, whole)| *whole);
        told.into_iter().for_each(|(text, _)| self.say(&text));
        let shortener = self.shortener.as_ref().filter(|_| is_whole);
        let short = shortener.and_then(|it| it.shorten(lab, report, &self.again, &self.progress));
        let mut lines = Vec::new();
        if let Some(drawings) = &self.drawings {
            let page = drawings.draw(lab, report)?;
            lines.extend(page.map(|page| format!("  drawn: {}", page.display())));
        }
        if let Some(Shortened { text, act }) = short {
            lines.push(text);
            if let (Some(drawings), Some(act)) = (&self.drawings, act) {
                lines.push(format!("  drawn: {}", drawings.draw_short(&act)?.display()));
            }
        }
        lines.extend(is_whole.then(String::new));
        lines.iter().for_each(|line| self.say(line));
        Ok(())
    }

    /// Whether nobody would ever learn the results of the remaining runs.
    fn is_in_vain(&self) -> bool {
        self.out.is_broken()
            && self.files.is_empty()
            && self.drawings.is_none()
            && self.checkpoint.is_none()
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
