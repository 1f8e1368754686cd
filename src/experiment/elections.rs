//! The experiment `elections`: Figure 16 of the Raft paper.

use super::conditions::Conditions;
use super::figure::{self, Figure};
use super::line::Line;
use super::measure::{Measurement, Stopped, measure};
use super::regions::Regions;
use super::summary::Measured;
use super::trial::Outcome;
use super::{Settings, plot, table};
use labrpc::time::Duration;
use labtests::cli::{End, Out};
use labtests::report::WholeFile;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is going to be measured and drawn.
pub struct Plan {
    /// The cluster and its network.
    pub conditions: Conditions,
    figures: Vec<Figure>,
    /// The lines of all figures, each once.
    pub lines: Vec<Line>,
    /// Whether the paper's numbers are for the same cluster.
    with_paper: bool,
    /// The name of the file with the measurements.
    measurements: &'static str,
}

impl Plan {
    fn new(settings: &Settings) -> Result<Plan, String> {
        let regions = settings.latency.as_deref().map(Regions::read).transpose()?;
        let conditions = match &regions {
            Some(regions) => Conditions::wide_area(regions, settings.disk),
            None => Conditions::one_place(settings.broadcast, settings.disk)?,
        };
        let (figures, measurements) = match (&settings.lines[..], &regions) {
            ([], None) => (figure::figure_16(), "elections.csv"),
            ([], Some(_)) => (figure::wide_area(), "elections-regions.csv"),
            (lines, _) => (figure::of_lines(lines), "elections-lines.csv"),
        };
        let lines: Vec<_> = figures.iter().flat_map(|figure| figure.lines.clone()).collect();
        let lines = figure::once(&lines);
        Ok(Plan { conditions, figures, lines, with_paper: regions.is_none(), measurements })
    }
}

/// Measures, prints the table, and draws the figures.
///
/// # Errors
/// The settings make no sense, or the files can't be written.
pub fn run(settings: &Settings, out: &mut Out) -> Result<End, String> {
    let plan = Plan::new(settings)?;
    let csv = settings.out.join(plan.measurements);
    // Do this first, because an error after all measurements would come too late.
    fs::create_dir_all(&settings.out).map_err(|error| unwritable(&settings.out, &error))?;
    let file = WholeFile::prepare(&csv)?;
    out.line(&plan.conditions);
    let Measurement { measured, stopped } = &measure(&plan, settings, out);
    out.row(&table::header(plan.with_paper));
    measured.iter().for_each(|measured| out.row(&table::row(measured, plan.with_paper)));
    if let Some(stopped) = stopped {
        return incomplete(&csv, measured, stopped, out);
    }
    file.write(|file| write(file, measured))?;
    let drawn = draw(&plan, measured, &settings.out)?;
    let drawn: Vec<_> = drawn.iter().map(|path| path.display().to_string()).collect();
    out.line(format!("drawn: {}; measured: {}", drawn.join(", "), csv.display()));
    Ok(End::Well)
}

/// Saves what was measured so far, in a file that does not replace the one with all trials.
fn incomplete(
    csv: &Path,
    measured: &[Measured],
    stopped: &Stopped,
    out: &mut Out,
) -> Result<End, String> {
    out.line(stopped);
    if !measured.is_empty() {
        let name = csv.file_stem().unwrap_or_default().to_string_lossy();
        let part = csv.with_file_name(format!("{name}-incomplete.csv"));
        WholeFile::prepare(&part)?.write(|file| write(file, measured))?;
        out.line(format!("measured so far: {}; nothing is drawn", part.display()));
    }
    Ok(stopped.end())
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("can't write {}: {error}", path.display())
}

/// Writes every trial, for other programs.
fn write(file: &mut File, measured: &[Measured]) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    writeln!(file, "timeouts,seed,elected_ms,replaced_ms,elections")?;
    let ms = |time: Option<Duration>| {
        time.map_or(String::new(), |time| format!("{:.3}", time.as_secs_f64() * 1e3))
    };
    for (line, (seed, outcome)) in
        measured.iter().flat_map(|it| it.trials.iter().map(move |trial| (it.line, trial)))
    {
        let Outcome { elected, replaced, elections } = *outcome;
        writeln!(file, "{line},{seed},{},{},{elections}", ms(elected), ms(replaced))?;
    }
    file.flush()
}

/// Draws all figures; returns their files.
fn draw(plan: &Plan, measured: &[Measured], into: &Path) -> Result<Vec<PathBuf>, String> {
    let draw = |figure: &Figure| {
        let path = into.join(figure.file).with_extension("svg");
        let of_line = |line: &Line| measured.iter().find(|measured| measured.line == *line);
        let lines: Vec<_> = figure.lines.iter().filter_map(of_line).collect();
        let picture = plot::draw(figure, &lines, &plan.conditions.to_string(), plan.with_paper)?;
        WholeFile::prepare(&path)?.write(|file| file.write_all(picture.as_bytes()))?;
        Ok(path)
    };
    plan.figures.iter().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ExperimentArgs;
    use super::*;
    use clap::Parser;
    use parking_lot::Mutex;
    use std::io;
    use std::sync::Arc;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: ExperimentArgs,
    }

    /// A buffer whose content can be read back.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is printed, and the content of every file.
    fn made(args: &str) -> (String, Vec<(String, String)>) {
        let folder = tempfile::tempdir().unwrap();
        let args = args.split_whitespace().map(ToString::to_string);
        let out = ["--out".to_string(), folder.path().display().to_string()];
        let args = ["x".into(), "elections".into()].into_iter().chain(args).chain(out);
        let settings = Command::parse_from(args).args.settings;
        let paper = Paper::default();
        assert_eq!(run(&settings, &mut Out::new(paper.clone())).unwrap(), End::Well);
        let printed = String::from_utf8(paper.0.lock().clone()).unwrap();
        let files = fs::read_dir(folder.path()).unwrap().map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        (printed.replace(&folder.path().display().to_string(), "DIR"), files)
    }

    #[test]
    fn the_same_seed_measures_and_draws_the_same_with_any_number_of_jobs() {
        let lines = "--trials 4 --lines 150-155,12-24";
        let (one, two) = (made(&format!("{lines} --jobs 1")), made(&format!("{lines} --jobs 2")));
        assert_eq!(one, two);
        assert_ne!(one, made(&format!("{lines} --seed 2")));
        assert!(
            one.0.ends_with("drawn: DIR/elections-lines.svg; measured: DIR/elections-lines.csv\n")
        );
    }

    #[test]
    fn figure_16_is_two_pictures_a_table_and_the_measurements() {
        let (printed, files) = made("--trials 1 --jobs 2");
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["elections-randomness.svg", "elections-scale.svg", "elections.csv"]);
        assert_eq!(printed.lines().count(), 1 + 1 + 10 + 1, "{printed}");
        assert!(printed.contains("median 287 ("), "{printed}");
        assert!(files[0].1.contains("150-150 ms") && files[1].1.contains("25-50 ms"));
        assert_eq!(files[2].1.lines().count(), 1 + 10);
    }

    #[test]
    fn between_regions_there_is_nothing_of_the_paper() {
        let (printed, files) = made("--trials 1 --latency regions --lines 1200-2400");
        assert!(printed.starts_with("a server in each of dallas, washington, london"), "{printed}");
        assert!(!printed.contains("the paper"), "{printed}");
        assert!(files[1].1.contains("</svg>"));
    }
}
