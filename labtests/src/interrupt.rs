//! Ctrl-C and similar signals: a command that is interrupted prints what it knows, and ends.
//!
//! Commands that process one result after another check whether they were [`asked`] to end. A command whose own thread is busy
//! registers its [`LastWords`]. A second signal ends the process at once.

use labrpc::{thread, time};
use parking_lot::Mutex;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

/// A signal that asked the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    signal: i32,
}

impl Interrupt {
    /// The exit status of a command that was interrupted, as in shells: 130 after Ctrl-C, 143 after SIGTERM.
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

/// The results of interrupted work that were not delivered yet, because results before them are missing.
#[derive(Debug)]
pub struct Interrupted<R> {
    /// What interrupted it.
    pub by: Interrupt,
    /// In the order of the work.
    pub early: Vec<R>,
}

/// How often a waiting command checks whether it was asked to end.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long last words wait for a reader that has stopped reading. The command should end within a second.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Signals within this time count as one: GNU `timeout` and other programs send their signal twice.
const SAME_MOMENT: Duration = Duration::from_millis(200);

static ASKED: OnceLock<Interrupt> = OnceLock::new();

type Say = dyn FnOnce(Interrupt) + Send;

/// The last words that are registered.
static SAY: Mutex<Option<Box<Say>>> = Mutex::new(None);

/// From now on, the first SIGINT (Ctrl-C) or SIGTERM only asks the process to end. So does the first SIGHUP, if there is a
/// terminal that can be closed.
pub fn listen() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(signals::listen);
}

/// Whether the process was asked to end.
pub fn asked() -> Option<Interrupt> {
    ASKED.get().copied()
}

/// While this value exists, an interrupt runs the registered function and ends the process.
pub struct LastWords(());

impl LastWords {
    /// Runs `say` if the process is asked to end, or has been asked before.
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

/// Keeps the lock, so that nothing else is printed afterwards.
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

    /// Whether the next signal has its default effect.
    static ARMED: AtomicBool = AtomicBool::new(false);

    /// If handlers can't be installed, signals have their default effect.
    pub fn listen() {
        let _ = try_listen();
    }

    fn try_listen() -> io::Result<()> {
        let mut ours = vec![SIGINT, SIGTERM];
        // Without a terminal, SIGHUP is left alone, because `nohup` ignores it.
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
    /// Ctrl-C has its default effect.
    pub fn listen() {}

    pub fn name(_: i32) -> Option<&'static str> {
        None
    }
}
