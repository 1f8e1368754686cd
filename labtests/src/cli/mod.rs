//! The `raftlab` command, for the reference Raft or for yours.

mod again;
mod args;
mod check;
mod files;
mod found;
mod groups;
mod out;
mod pages;
mod played;
mod progress;
mod replay;
mod resume;
mod session;
mod shorten;
mod work;

pub use again::program;
pub use args::{count, jobs, seed, whole_number};
pub use out::Out;
pub use progress::Progress;
pub use work::Shard;

use crate::interrupt::{self, Interrupt};
use crate::lab::Lab;
use crate::report::Again;
use crate::runner;
use crate::suites::LabTest;
use again::program_with;
use args::{Cli, Command, Flags, Given, with_negative_numbers, without_flags};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches};
use labrpc::api::{ApplyMsg, Raft};
use labrpc::channel::Sender;
use labrpc::{ClientEnd, Persister, Service};
use out::{tell, unless_unread};
use session::Session;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use work::Work;

/// Runs the command on the Raft that `make` makes, with the arguments of the process.
///
/// The exit status is 0 if everything passed, 1 if a test failed, 2 if the usage was wrong, 3 if `check` reached no verdict,
/// 130 after Ctrl-C, and 143 after SIGTERM.
pub fn main<R, F>(make: F) -> ExitCode
where
    R: Raft,
    F: Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> (Arc<R>, Vec<Service>)
        + Send
        + Sync
        + 'static,
{
    Program::new(Lab::new().raft(make)).main()
}

/// The command, with the subcommands that a program adds to `test`, `replay` and `check`.
pub struct Program {
    lab: Lab,
    extras: Vec<Extra>,
    variables: Vec<&'static str>,
}

/// A further command of the program.
struct Extra {
    command: clap::Command,
    run: Box<RunExtra>,
}

type RunExtra = dyn FnOnce(&ArgMatches, &mut Out) -> Result<End, Wrong>;

/// Why nothing was run, or why nothing can be shown.
enum Wrong {
    /// clap's message about the arguments; this can also be a help text.
    Arguments(clap::Error),
    /// Our own message.
    Text(String),
}

impl From<clap::Error> for Wrong {
    fn from(error: clap::Error) -> Wrong {
        Wrong::Arguments(error)
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Wrong {
        Wrong::Text(text)
    }
}

impl Wrong {
    /// Prints the message. Returns the exit status, which is 0 for a help text.
    fn tell(&self) -> u8 {
        match self {
            Wrong::Arguments(error) => {
                let written = error.print().or_else(|error| unless_unread(&error));
                match written {
                    Err(text) if !error.use_stderr() => Wrong::Text(text).tell(),
                    _ => u8::try_from(error.exit_code()).unwrap_or(USAGE),
                }
            }
            Wrong::Text(text) => {
                tell(format_args!("error: {text}"));
                USAGE
            }
        }
    }
}

/// How a command ended, if its usage was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was done, and everything passed.
    Well,
    /// Something failed.
    Failed,
    /// There is no verdict.
    Undecided,
    /// It was interrupted before everything was done.
    Interrupted(Interrupt),
    /// Its reader went away before everything was done.
    Unread,
}

impl From<bool> for End {
    fn from(well: bool) -> End {
        if well { End::Well } else { End::Failed }
    }
}

impl End {
    fn status(self) -> u8 {
        match self {
            End::Well => 0,
            End::Failed => 1,
            End::Undecided => 3,
            End::Interrupted(by) => by.status(),
            End::Unread => UNREAD,
        }
    }
}

/// The environment variable that renames fields, see [`Lab::renamed`].
const RENAME: &str = "LAB_RENAME";

/// The exit status of wrong usage.
const USAGE: u8 = 2;

/// The exit status of a program that is ended by SIGPIPE.
const UNREAD: u8 = 128 + 13;

impl Program {
    /// The same command that [`main`] runs.
    pub fn new(lab: impl Into<Lab>) -> Program {
        Program { lab: lab.into(), extras: Vec::new(), variables: Vec::new() }
    }

    /// Names further environment variables on which the runs of this program depend. The command that repeats a failure then sets
    /// them, too.
    pub fn variables(self, variables: &[&'static str]) -> Program {
        Program { variables: variables.to_vec(), ..self }
    }

    /// Adds a command. `run` returns how the command ended (for example, whether everything passed), or what was wrong with its
    /// usage.
    pub fn command<A: Args, E: Into<End>>(
        mut self,
        name: &'static str,
        about: &'static str,
        run: impl FnOnce(A, &mut Out) -> Result<E, String> + 'static,
    ) -> Program {
        let command = without_flags(A::augment_args(clap::Command::new(name)).about(about));
        let run = move |matches: &ArgMatches, out: &mut Out| {
            Ok(run(A::from_arg_matches(matches)?, out)?.into())
        };
        self.extras.push(Extra { command, run: Box::new(run) });
        self
    }

    /// Runs it with the arguments of the process.
    pub fn main(self) -> ExitCode {
        interrupt::listen();
        labrpc::logging::init();
        ExitCode::from(self.run(std::env::args_os(), Out::stdout()))
    }

    /// Runs it with these arguments, the first of which is the name of the program. Returns the exit status.
    pub fn run<T>(self, args: impl IntoIterator<Item = T>, out: Out) -> u8
    where
        T: Into<OsString> + Clone,
    {
        let extras = self.extras.iter().map(|extra| extra.command.clone());
        let command = ["replay", "check"]
            .into_iter()
            .fold(Cli::command(), |command, name| command.mut_subcommand(name, without_flags));
        let command = with_negative_numbers(command.subcommands(extras));
        let names: Vec<_> = command.get_subcommands().map(|it| it.get_name().to_string()).collect();
        let matches = command.try_get_matches_from(args).map_err(Wrong::from);
        let matches = matches.and_then(|matches| commands_first(&names, matches));
        let done = matches.and_then(|matches| self.dispatch(&names, &matches, out));
        done.map_or_else(|wrong| wrong.tell(), End::status)
    }

    fn dispatch(
        mut self,
        commands: &[String],
        matches: &ArgMatches,
        mut out: Out,
    ) -> Result<End, Wrong> {
        let given = Given::by(matches);
        if let Some((name, of_extra)) = matches.subcommand()
            && let Some(place) = self.extras.iter().position(|it| it.command.get_name() == name)
        {
            return self.extras.swap_remove(place).run(&given, of_extra, out);
        }
        let mut cli = Cli::from_arg_matches(matches)?;
        if let Some(Command::Test { json, .. }) = &mut cli.command {
            cli.flags.json = json.take().or(cli.flags.json);
        }
        let lab = self.lab_with(&cli.flags)?;
        let program = program_with(&[&self.variables[..], &[RENAME]].concat());
        let again = Again::Command(program.clone());
        let test = |tests, out| test(&lab, tests, &cli.flags, &given, again, out);
        match cli.command {
            None => Ok(test(selected(&lab, &cli.select, commands)?, out)?),
            Some(Command::Test { select, .. }) => Ok(test(selected(&lab, &select, &[])?, out)?),
            Some(Command::Replay(args)) => match given.but(&["strict", "report"]) {
                Some(flag) => Err(no_flag_of_replay(&flag).into()),
                None => {
                    Ok(replay::replay(&lab, &args, cli.flags.report.as_deref(), &program, out)?)
                }
            },
            Some(Command::Check(args)) => {
                if let Some(flag) = given.but(&["json", "report"]) {
                    return Err(
                        format!("check runs no tests, so {flag} has no meaning for it").into()
                    );
                }
                let json = args.json.clone().or(cli.flags.json);
                let end =
                    check::check(args, json.as_deref(), cli.flags.report.as_deref(), &mut out)?;
                out.finish()?;
                Ok(end)
            }
        }
    }

    /// What is under test, with the flags and the environment applied.
    fn lab_with(&self, flags: &Flags) -> Result<Lab, String> {
        let lab = if flags.strict { self.lab.clone().strict() } else { self.lab.clone() };
        let lab = match std::env::var(RENAME) {
            Ok(text) => lab.renamed(text.parse().map_err(|wrong| format!("{RENAME}: {wrong}"))?),
            Err(_) => lab,
        };
        Ok(match flags.backend {
            Some(on) => lab.backend(on.into()),
            None => lab,
        })
    }
}

impl Extra {
    fn run(self, given: &Given, matches: &ArgMatches, mut out: Out) -> Result<End, Wrong> {
        if let Some(flag) = given.beside(&self.command) {
            return Err(format!("{} does not accept {flag}", self.command.get_name()).into());
        }
        let end = (self.run)(matches, &mut out)?;
        match (end, out.finish()) {
            (End::Interrupted(_), _) | (_, Ok(())) => Ok(end),
            (_, Err(wrong)) => Err(wrong.into()),
        }
    }
}

/// After the name of a test, clap would take the name of a command for the name of another test.
fn commands_first(names: &[String], matches: ArgMatches) -> Result<ArgMatches, Wrong> {
    let words: Vec<_> = matches.get_many::<String>("select").into_iter().flatten().collect();
    match words.iter().find(|word| names.contains(word)) {
        Some(name) => {
            Err(format!("{name} is a command and must come first, before {:?}", words[0]).into())
        }
        None => Ok(matches),
    }
}

fn no_flag_of_replay(flag: &str) -> String {
    let why = match flag {
        "--real" => ": runs on real threads can't be replayed",
        "--seed" => ": give the seed as the first argument",
        _ => "",
    };
    format!("replay takes a seed and a test; it does not accept {flag}{why}")
}

/// The tests that any of the words selects, in the lab's order.
fn selected(
    lab: &Lab,
    words: &[String],
    commands: &[String],
) -> Result<Vec<&'static LabTest>, String> {
    if words.is_empty() {
        return Ok(lab.tests().collect());
    }
    let mut names = Vec::new();
    for word in words {
        names.extend(select(lab, word, commands)?.iter().map(|test| test.name));
    }
    Ok(lab.tests().filter(|test| names.contains(&test.name)).collect())
}

/// The tests of this program that the word selects. If it selects nothing, the error also suggests the names of commands.
fn select(lab: &Lab, word: &str, commands: &[String]) -> Result<Vec<&'static LabTest>, String> {
    let tests = runner::selected_by(word);
    let mut tests = tests.ok_or_else(|| runner::unknown(word, lab.tests(), commands))?;
    let some = tests[0];
    tests.retain(|test| lab.has(test));
    if tests.is_empty() {
        return Err(format!(
            "this program has no implementation that {} {} can run on; see labtests::lab::Lab",
            some.part, some.name
        ));
    }
    if let [test] = tests[..]
        && test.was_called(word)
    {
        tell(format_args!("note: {word} is called {} now", test.name));
    }
    Ok(tests)
}

fn test(
    lab: &Lab,
    tests: Vec<&'static LabTest>,
    flags: &Flags,
    given: &Given,
    again: Again,
    mut out: Out,
) -> Result<End, String> {
    if tests.is_empty() {
        return Err("this program has no implementation to test; see labtests::lab::Lab".into());
    }
    let work = Work::new(tests, flags.seed, flags.seeds, flags.shard)?;
    if flags.list {
        list(&work, given, &mut out)?;
        return Ok(End::Well);
    }
    if work.is_sweep() {
        lab.backends.compare(flags.seed);
    }
    Session::new(work, flags, again, out)?.run(lab)
}

/// Lists the tests that would be run.
fn list(work: &Work, given: &Given, out: &mut Out) -> Result<(), String> {
    // The number of seeds decides which tests a shard has. Without a shard, every test is run under each seed.
    let sharded = given.but(&["shard", "seeds", "list"]);
    let whole = given.but(&["shard", "list"]);
    match sharded.or(whole.filter(|_| work.shard() == Shard::WHOLE)) {
        Some(flag) if flag == "--seeds" => {
            return Err("--list shows tests: it accepts --seeds only together with --shard".into());
        }
        Some(flag) => return Err(format!("--list runs nothing: it does not accept {flag}")),
        None => {}
    }
    work.tests().for_each(|test| out.queue(format_args!("{} {}", test.part, test.name)));
    out.finish()
}
