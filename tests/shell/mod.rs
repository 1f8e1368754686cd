//! Runs the `raftlab` command in a pipe or in a terminal: what it prints, and how it ends.
#![allow(dead_code, reason = "each test needs some of it")]

use labrpc::channel::{self, Receiver, RecvTimeoutError};
use labrpc::thread;
use pty_process::blocking as pty;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A command that prints nothing for this long and doesn't end is considered hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program.
pub const RAFTLAB: &str = env!("CARGO_BIN_EXE_raftlab");

/// The output, as it arrives.
struct Heard {
    pieces: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Heard {
    fn from(mut from: impl Read + Send + 'static) -> Heard {
        let (said, pieces) = channel::unbounded();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // Reading from a terminal that nobody has open any more gives an error.
            while let Ok(length @ 1..) = from.read(&mut piece) {
                let _ = said.send(piece[..length].to_vec());
            }
        });
        Heard { pieces, bytes: Vec::new() }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Reads more output. Returns whether there was more.
    fn hear(&mut self) -> bool {
        match self.pieces.recv_timeout(PATIENCE) {
            Ok(piece) => self.bytes.extend(piece),
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => panic!("it hangs: {}", self.text()),
        }
        true
    }

    fn until(&mut self, word: &str) {
        while !self.text().contains(word) {
            assert!(self.hear(), "it ended without {word:?}: {}", self.text());
        }
    }

    fn all(mut self) -> String {
        while self.hear() {}
        self.text()
    }
}

/// How the program ended, and what it printed.
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    /// Empty in a terminal, where both outputs go to the same place.
    pub error: String,
}

impl Ended {
    #[track_caller]
    pub fn with_status(self, status: i32) -> Ended {
        assert_eq!(self.status.code(), Some(status), "{}\n{}", self.out, self.error);
        assert!(!self.error.contains("panicked"), "{}", self.error);
        self
    }
}

/// The program, with both its outputs in pipes.
pub struct InPipe {
    child: Child,
    out: Heard,
    error: Heard,
}

impl InPipe {
    /// Starts the program with arguments that contain no spaces.
    pub fn start(args: &str) -> InPipe {
        let mut command = Command::new(RAFTLAB);
        command.args(args.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Heard::from(child.stdout.take().unwrap());
        let error = Heard::from(child.stderr.take().unwrap());
        InPipe { child, out, error }
    }

    /// Waits until the program has printed this.
    #[track_caller]
    pub fn until(&mut self, word: &str) {
        self.out.until(word);
    }

    /// Writes this to the program's input, and leaves the input open for more.
    pub fn read(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    pub fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program has ended.
    pub fn end(mut self) -> Ended {
        let (out, error) = (self.out.all(), self.error.all());
        Ended { status: self.child.wait().unwrap(), out, error }
    }
}

/// Starts the program in a terminal, and returns the other end of the terminal.
fn in_terminal(
    args: &str,
    columns: u16,
    change: impl FnOnce(pty::Command) -> pty::Command,
) -> (Child, File) {
    let (pty, pts) = pty::open().unwrap();
    pty.resize(pty_process::Size::new(24, columns)).unwrap();
    let command = pty::Command::new(RAFTLAB).args(args.split_whitespace());
    let child = change(command).spawn(pts).unwrap();
    (child, File::from(OwnedFd::from(pty)))
}

/// Closes the program's terminal once the program has printed `word`. Returns how it ends.
pub fn in_closing_terminal(args: &str, word: &str) -> ExitStatus {
    let (mut child, mut screen) = in_terminal(args, 100, |command| command);
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&said).contains(word) {
        let length = screen.read(&mut piece).unwrap();
        said.extend(&piece[..length]);
    }
    drop(screen);
    child.wait().unwrap()
}

/// The program in a terminal of its own.
pub struct InTerminal {
    child: Child,
    keyboard: File,
    screen: Heard,
}

impl InTerminal {
    /// Starts the program in this many columns, with arguments that contain no spaces.
    pub fn start(args: &str, columns: u16) -> InTerminal {
        InTerminal::attach(in_terminal(args, columns, |command| command))
    }

    /// The same, but its standard output is a pipe whose reader has gone.
    pub fn start_unread(args: &str) -> InTerminal {
        let (_, writer) = std::io::pipe().unwrap();
        InTerminal::attach(in_terminal(args, 100, |command| command.stdout(writer)))
    }

    fn attach((child, keyboard): (Child, File)) -> InTerminal {
        let screen = Heard::from(keyboard.try_clone().unwrap());
        InTerminal { child, keyboard, screen }
    }

    /// Waits until the program has printed this.
    #[track_caller]
    pub fn until(&mut self, word: &str) {
        self.screen.until(word);
    }

    pub fn press_ctrl_c(&mut self) {
        self.keyboard.write_all(b"\x03").unwrap();
    }

    /// Waits until the program has ended.
    pub fn end(mut self) -> Ended {
        let out = self.screen.all();
        Ended { status: self.child.wait().unwrap(), out, error: String::new() }
    }
}
