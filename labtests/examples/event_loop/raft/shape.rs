//! What may differ from one correct Raft to another.

use super::log::Numbers;
use labrpc::time::Duration;
use std::ops::Range;

#[derive(Clone, Debug)]
pub struct Shape {
    pub wording: Wording,
    pub no_op: NoOp,
    pub install: Install,
    /// Every save is one of a snapshot too, which is empty before there is one: `Save(state, nil)`.
    pub saves_empty_snapshots: bool,
    /// A killed server's threads wait for ever.
    pub leaks_threads: bool,
    pub timeout_ms: Range<u64>,
    pub heartbeat: Duration,
}

/// What the fields of messages are called; see [`super::words`].
#[derive(Clone, Copy, Debug)]
pub enum Wording {
    Paper,
    Go,
    Tuples,
    Enums,
}

/// Whether a new leader appends an entry of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOp {
    Never,
    /// The service hears of it as of an index without a command.
    Visible,
    /// The service never hears of it: it counts only commands.
    Hidden,
}

/// When a follower's log changes over to a snapshot that comes from the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Before the reply, and before the service hears of it.
    AtOnce,
    /// When the service takes it, as with CondInstallSnapshot. Until then the log goes on as it was.
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
            timeout_ms: 300..600,
            heartbeat: Duration::from_millis(100),
        }
    }

    fn timing(timeout_ms: Range<u64>, heartbeat_ms: u64) -> Shape {
        Shape { timeout_ms, heartbeat: Duration::from_millis(heartbeat_ms), ..Shape::new() }
    }

    /// All that have a name.
    pub fn all() -> Vec<(&'static str, Shape)> {
        let plain = Shape::new();
        vec![
            ("plain", plain.clone()),
            ("paper_names", Shape { wording: Wording::Paper, ..plain.clone() }),
            ("tuples", Shape { wording: Wording::Tuples, ..plain.clone() }),
            ("enums", Shape { wording: Wording::Enums, ..plain.clone() }),
            ("visible_no_op", Shape { no_op: NoOp::Visible, ..plain.clone() }),
            ("hidden_no_op", Shape { no_op: NoOp::Hidden, ..plain.clone() }),
            ("cond_install", Shape { install: Install::OnDelivery, ..plain.clone() }),
            ("empty_snapshots", Shape { saves_empty_snapshots: true, ..plain.clone() }),
            ("leaking_threads", Shape { leaks_threads: true, ..plain }),
            ("150_to_300", Shape::timing(150..300, 50)),
            ("300_to_400", Shape::timing(300..400, 130)),
            ("500_to_1000", Shape::timing(500..1000, 100)),
            ("800_to_1500", Shape::timing(800..1500, 130)),
        ]
    }

    pub fn named(name: &str) -> Option<Shape> {
        Shape::all().into_iter().find(|(known, _)| *known == name).map(|(_, shape)| shape)
    }

    pub fn numbers(&self) -> Numbers {
        match self.no_op {
            NoOp::Hidden => Numbers::Commands,
            NoOp::Never | NoOp::Visible => Numbers::Everything,
        }
    }
}
