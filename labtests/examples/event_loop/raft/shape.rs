//! The ways in which one correct Raft may differ from another.

use super::log::Numbers;
use labrpc::time::Duration;
use std::ops::Range;

#[derive(Clone)]
pub struct Shape {
    pub wording: Wording,
    pub no_op: NoOp,
    pub install: Install,
    /// Every save includes a snapshot, which is empty before there is one: `Save(state, nil)`.
    pub saves_empty_snapshots: bool,
    /// The threads of a killed server wait for ever.
    pub leaks_threads: bool,
    /// A candidate asks each server only once.
    pub asks_for_votes_once: bool,
    /// A candidate asks itself for its vote, too, as it asks the others.
    pub asks_itself: bool,
    /// A request for a vote that got no answer is sent again, even if its sender is no candidate any more.
    pub asks_on: bool,
    /// Every answer to a message without entries is a refusal, and the leader ignores it. This shape needs a no-op. Without a
    /// no-op, a log would not be repaired before the next command.
    pub mute_heartbeats: bool,
    pub carriage: Carriage,
    pub timeout_ms: Range<u64>,
    pub heartbeat: Duration,
}

/// The names of the fields of messages; see [`super::words`].
#[derive(Clone, Copy)]
pub enum Wording {
    Paper,
    /// The paper's names, but indices begin at 0, and -1 stands for "no entry".
    FromZero,
    Go,
    Tuples,
    Enums,
}

/// Whether a new leader appends an entry of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOp {
    Never,
    /// The service gets it as an index without a command.
    Visible,
    /// The service never gets it, and counts only commands.
    Hidden,
}

/// How a server gets the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// As the reply to its call.
    Replies,
    /// By a call from the other server, to a method for this kind of answer.
    Answers,
    /// By a call from the other server, to the one method for all messages.
    Steps,
}

/// When a follower replaces its log by a snapshot from the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Before the reply, and before the service hears of it.
    AtOnce,
    /// When the service accepts it, as with CondInstallSnapshot. Until then the log stays as it was.
    OnDelivery,
}

impl Shape {
    pub fn new() -> Shape {
        Shape {
            wording: Wording::Go,
            no_op: NoOp::Never,
            install: Install::AtOnce,
            saves_empty_snapshots: false,
            leaks_threads: false,
            asks_for_votes_once: false,
            asks_itself: false,
            asks_on: false,
            mute_heartbeats: false,
            carriage: Carriage::Replies,
            timeout_ms: 300..600,
            heartbeat: Duration::from_millis(100),
        }
    }

    /// The names of the ways in which a shape may differ.
    pub const NAMES: [&str; 21] = [
        "paper_names",
        "from_zero",
        "tuples",
        "enums",
        "visible_no_op",
        "hidden_no_op",
        "cond_install",
        "empty_snapshots",
        "leaking_threads",
        "votes_once",
        "asks_itself",
        "asks_on",
        "mute_heartbeats",
        "answers",
        "steps",
        "150_to_300",
        "300_to_400",
        "500_to_1000",
        "800_to_1500",
        "heartbeat_50",
        "heartbeat_130",
    ];

    /// The plain shape, changed by some of [`Shape::NAMES`], separated by commas.
    ///
    /// # Errors
    /// Returns the first name that is not in [`Shape::NAMES`].
    pub fn named(names: &str) -> Result<Shape, String> {
        let mut shape = Shape::new();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            shape.change(name).ok_or_else(|| name.to_string())?;
        }
        Ok(shape)
    }

    fn change(&mut self, name: &str) -> Option<()> {
        match name {
            "paper_names" => self.wording = Wording::Paper,
            "from_zero" => self.wording = Wording::FromZero,
            "tuples" => self.wording = Wording::Tuples,
            "enums" => self.wording = Wording::Enums,
            "visible_no_op" => self.no_op = NoOp::Visible,
            "hidden_no_op" => self.no_op = NoOp::Hidden,
            "cond_install" => self.install = Install::OnDelivery,
            "empty_snapshots" => self.saves_empty_snapshots = true,
            "leaking_threads" => self.leaks_threads = true,
            "votes_once" => self.asks_for_votes_once = true,
            "asks_itself" => self.asks_itself = true,
            "asks_on" => self.asks_on = true,
            "mute_heartbeats" => self.mute_heartbeats = true,
            "answers" => self.carriage = Carriage::Answers,
            "steps" => self.carriage = Carriage::Steps,
            "150_to_300" => self.time(150..300, 50),
            "300_to_400" => self.time(300..400, 130),
            "500_to_1000" => self.time(500..1000, 100),
            "800_to_1500" => self.time(800..1500, 130),
            "heartbeat_50" => self.heartbeat = Duration::from_millis(50),
            "heartbeat_130" => self.heartbeat = Duration::from_millis(130),
            _ => return None,
        }
        Some(())
    }

    fn time(&mut self, timeout_ms: Range<u64>, heartbeat_ms: u64) {
        self.timeout_ms = timeout_ms;
        self.heartbeat = Duration::from_millis(heartbeat_ms);
    }

    pub fn numbers(&self) -> Numbers {
        match self.no_op {
            NoOp::Hidden => Numbers::Commands,
            NoOp::Never | NoOp::Visible => Numbers::Everything,
        }
    }
}
