//! Ctrl-C and its like: a command that is interrupted says what it knows, and ends.
//!
//! Commands that take in one result after the other look whether they were [`asked`] to end. One whose own thread is busy leaves its
//! [`LastWords`]. A second signal ends the process at once.

use labrpc::{thread, time};
use parking_lot::Mutex;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

/// Somebody wants the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    signal: i32,
}

impl Interrupt {
    /// The exit status of a command that was interrupted, as shells have it: 130 after Ctrl-C, 143 after SIGTERM.
    pub fn status(self) -> u8 {
        u8::try_from(128 + self.signal).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signals::name(self.signal) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.signal),
        }
    }
}

/// What results came of work that was interrupted, and were not taken in yet: others before them are missing.
#[derive(Debug)]
pub struct Interrupted<R> {
    /// What interrupted it.
    pub by: Interrupt,
    /// In the order of the work.
    pub early: Vec<R>,
}

/// How often a command that waits looks whether it was asked to end.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long last words wait for somebody who stopped to read. The command is to end within a second.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Signals that come within this time are one: GNU `timeout` sends its signal twice, and so do others.
const SAME_MOMENT: Duration = Duration::from_millis(200);

static ASKED: OnceLock<Interrupt> = OnceLock::new();

type Say = dyn FnOnce(Interrupt) + Send;

/// The last words that somebody has left.
static SAY: Mutex<Option<Box<Say>>> = Mutex::new(None);

/// From now on, the first SIGINT (Ctrl-C) or SIGTERM only asks the process to end; so does the first SIGHUP, if there is a terminal that
/// can be closed.
pub fn listen() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(signals::listen);
}

/// Whether the process was asked to end.
pub fn asked() -> Option<Interrupt> {
    ASKED.get().copied()
}

/// While it is there, an interrupt says this and ends the process.
pub struct LastWords(());

impl LastWords {
    /// Says `say` if the process is asked to end, or has been.
    pub fn new(say: impl FnOnce(Interrupt) + Send + 'static) -> LastWords {
        *SAY.lock() = Some(Box::new(say));
        asked().into_iter().for_each(say_and_exit);
        LastWords(())
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        *SAY.lock() = None;
    }
}

/// The lock is kept, so that nobody goes on to say something else.
fn say_and_exit(interrupt: Interrupt) {
    let mut say = SAY.lock();
    if let Some(say) = say.take() {
        say(interrupt);
        std::process::exit(interrupt.status().into());
    }
}

fn ask(signal: i32) {
    let interrupt = Interrupt { signal };
    if ASKED.set(interrupt).is_ok() {
        thread::spawn(move || say_and_exit(interrupt));
        time::sleep(SAME_MOMENT);
    }
}

#[cfg(unix)]
mod signals {
    use super::{ask, thread};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};
    use std::io::{self, IsTerminal};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether the next signal does what it does by default.
    static ARMED: AtomicBool = AtomicBool::new(false);

    /// If this can't be had, signals do what they do by default.
    pub fn listen() {
        let _ = try_listen();
    }

    fn try_listen() -> io::Result<()> {
        let mut ours = vec![SIGINT, SIGTERM];
        // Without one, SIGHUP is left alone: `nohup` ignores it.
        if io::stdout().is_terminal() || io::stderr().is_terminal() {
            ours.push(SIGHUP);
        }
        for signal in &ours {
            flag::register_conditional_default(*signal, &ARMED)?;
        }
        let mut signals = Signals::new(ours)?;
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                ask(signal);
                ARMED.store(true, Ordering::SeqCst);
            }
        });
        Ok(())
    }

    pub fn name(signal: i32) -> Option<&'static str> {
        low_level::signal_name(signal)
    }
}

#[cfg(not(unix))]
mod signals {
    /// Ctrl-C does what it does by default.
    pub fn listen() {}

    pub fn name(_: i32) -> Option<&'static str> {
        None
    }
}
