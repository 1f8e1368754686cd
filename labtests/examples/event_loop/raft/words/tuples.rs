//! No names at all: tuples.

use super::{Convert, Words};
use crate::raft::messages::{
    AppendEntries, Appended, Entry, InstallSnapshot, Installed, RequestVote, Saved, Vote,
};
use labrpc::api::{Command, Snapshot};

pub struct Tuples;

impl Words for Tuples {
    type RequestVote = (i64, usize, u64, i64);
    type Vote = (i64, bool);
    type AppendEntries = (i64, usize, u64, i64, Vec<(i64, Option<Command>)>, u64);
    type Appended = (i64, bool, Option<i64>, u64);
    type InstallSnapshot = (i64, usize, u64, i64, u64, Snapshot);
    type Installed = (i64,);
    type Saved = (i64, Option<usize>, u64, i64, u64, Vec<(i64, Option<Command>)>);
}

/// Makes tuples of a message's fields, in this order.
macro_rules! tuples {
    ($($message:ident { $($name:ident: $type:ty = $($field:ident).+),+ $(,)? })+) => {
        $(impl Convert<$message> for ($($type,)+) {
            fn of(it: $message) -> Self {
                ($(Convert::of(it.$($field).+),)+)
            }

            fn back(self) -> $message {
                let ($($name,)+) = self;
                let mut it = $message::default();
                $(it.$($field).+ = Convert::back($name);)+
                it
            }
        })+
    };
}

tuples! {
    RequestVote { a: i64 = term, b: usize = candidate, c: u64 = last_index, d: i64 = last_term }
    Vote { a: i64 = term, b: bool = granted }
    Entry { a: i64 = term, b: Option<Command> = command }
    AppendEntries {
        a: i64 = term,
        b: usize = leader,
        c: u64 = prev_index,
        d: i64 = prev_term,
        e: Vec<(i64, Option<Command>)> = entries,
        f: u64 = commit,
    }
    Appended {
        a: i64 = term,
        b: bool = success,
        c: Option<i64> = conflict_term,
        d: u64 = conflict_index,
    }
    InstallSnapshot {
        a: i64 = term,
        b: usize = leader,
        c: u64 = base.index,
        d: i64 = base.term,
        e: u64 = base.number,
        f: Snapshot = data,
    }
    Installed { a: i64 = term }
    Saved {
        a: i64 = term,
        b: Option<usize> = voted_for,
        c: u64 = base.index,
        d: i64 = base.term,
        e: u64 = base.number,
        f: Vec<(i64, Option<Command>)> = entries,
    }
}
