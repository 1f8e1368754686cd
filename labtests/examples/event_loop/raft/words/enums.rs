//! Requests as in the paper, and replies that are enums, as is usual in Rust.

use super::{Convert, Words, paper};
use crate::raft::messages::{Appended, Installed, Term, Vote};
use serde::{Deserialize, Serialize};

pub struct Enums;

impl Words for Enums {
    type RequestVote = paper::RequestVoteArgs;
    type Vote = Ballot;
    type AppendEntries = paper::AppendEntriesArgs;
    type Appended = Outcome;
    type InstallSnapshot = paper::InstallSnapshotArgs;
    type Installed = Receipt;
    type Saved = paper::Persistent;
}

#[derive(Serialize, Deserialize)]
pub enum Ballot {
    Granted(Term),
    Denied(Term),
}

#[derive(Serialize, Deserialize)]
pub enum Outcome {
    Accepted(Term),
    Conflict { term: Term, of: Option<Term>, from: u64 },
}

#[derive(Serialize, Deserialize)]
pub struct Receipt(Term);

impl Convert<Vote> for Ballot {
    fn of(it: Vote) -> Ballot {
        if it.granted { Ballot::Granted(it.term) } else { Ballot::Denied(it.term) }
    }

    fn back(self) -> Vote {
        match self {
            Ballot::Granted(term) => Vote { term, granted: true },
            Ballot::Denied(term) => Vote { term, granted: false },
        }
    }
}

impl Convert<Appended> for Outcome {
    fn of(it: Appended) -> Outcome {
        if it.success {
            return Outcome::Accepted(it.term);
        }
        Outcome::Conflict { term: it.term, of: it.conflict_term, from: it.conflict_index }
    }

    fn back(self) -> Appended {
        match self {
            Outcome::Accepted(term) => Appended { term, success: true, ..Appended::default() },
            Outcome::Conflict { term, of, from } => {
                Appended { term, success: false, conflict_term: of, conflict_index: from }
            }
        }
    }
}

impl Convert<Installed> for Receipt {
    fn of(it: Installed) -> Receipt {
        Receipt(it.term)
    }

    fn back(self) -> Installed {
        Installed { term: self.0 }
    }
}
