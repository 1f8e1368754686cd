//! `log` lines that show the virtual time, the server and the thread.

use crate::context::{self, Here};
use crate::run::Logs;
use crate::trace;
use env_logger::Logger;
use log::{Log, Metadata, Record};
use std::io::Write;

/// Sends `log` lines to standard error through env_logger, filtered by `RUST_LOG`. A run may add them to its events instead, see
/// [`Logs`]. This may be called more than once. A line that can't be written is lost; nothing else happens.
///
/// ```text
///     1203.517042 ms  S1/ticker  DEBUG becomes candidate in term 4
/// ```
pub fn init() {
    init_with(env_logger::Builder::from_default_env());
}

/// The same for use under `cargo test`, which shows only the lines of tests that fail. It captures the output of Rust's print
/// macros, so the lines go through these macros. The macros panic if standard error can't be written.
pub fn init_for_tests() {
    let mut builder = env_logger::Builder::from_default_env();
    builder.is_test(true);
    init_with(builder);
}

fn init_with(mut builder: env_logger::Builder) {
    builder.format(|out, record| {
        let line = line(record);
        let here = context::here();
        let who_and_when = here.map(|here| (here.world.now().as_secs_f64() * 1e3, here.title()));
        match who_and_when {
            Some((ms, who)) => writeln!(out, "{ms:>14.6} ms  {who:<10} {line}"),
            None => writeln!(out, "{:>19}{:<10} {line}", "", ""),
        }
    });
    let printed = builder.build();
    let most = printed.filter();
    if log::set_boxed_logger(Box::new(ByRun(printed))).is_ok() {
        log::set_max_level(most);
    }
}

fn line(record: &Record<'_>) -> String {
    format!("{:<5} {}", record.level(), record.args())
}

/// Sends each line where the run of the line's thread wants it.
struct ByRun(Logger);

impl Log for ByRun {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let logs = context::with_here(|here: &Here| here.world.logs).unwrap_or_default();
        match logs {
            Logs::Printed => self.0.log(record),
            Logs::Traced if self.0.matches(record) => trace::logged(line(record)),
            Logs::Traced | Logs::Dropped => {}
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}
