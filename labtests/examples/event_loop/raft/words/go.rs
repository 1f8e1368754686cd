//! Names as in Go solutions, none of them the paper's. -1 stands for "no server".

use super::{Convert, Words, forms};
use crate::raft::messages::{
    AppendEntries, Appended, Entry, InstallSnapshot, Installed, RequestVote, Saved, Vote,
};
use labrpc::api::{Command, Snapshot};
use serde::{Deserialize, Serialize};

pub struct Go;

impl Words for Go {
    type RequestVote = VoteArgs;
    type Vote = VoteReply;
    type AppendEntries = AppendArgs;
    type Appended = AppendReply;
    type InstallSnapshot = SnapshotArgs;
    type Installed = SnapshotReply;
    type Saved = State;
}

/// A number, or -1.
#[derive(Serialize, Deserialize)]
pub struct OrMinusOne(i64);

impl Convert<Option<usize>> for OrMinusOne {
    fn of(it: Option<usize>) -> OrMinusOne {
        OrMinusOne(it.map_or(-1, |number| number as i64))
    }

    fn back(self) -> Option<usize> {
        usize::try_from(self.0).ok()
    }
}

impl Convert<Option<i64>> for OrMinusOne {
    fn of(it: Option<i64>) -> OrMinusOne {
        OrMinusOne(it.unwrap_or(-1))
    }

    fn back(self) -> Option<i64> {
        (self.0 >= 0).then_some(self.0)
    }
}

forms! {
    VoteArgs of RequestVote {
        CandidateTerm: i64 = term,
        CandidateIndex: usize = candidate,
        CandidateLastLogIndex: u64 = last_index,
        CandidateLastLogTerm: i64 = last_term,
    }
    VoteReply of Vote {
        FollowerTerm: i64 = term,
        IsVote: bool = granted,
    }
    Log of Entry {
        LogTerm: i64 = term,
        Cmd: Option<Command> = command,
    }
    AppendArgs of AppendEntries {
        LeaderTerm: i64 = term,
        LeaderIndex: usize = leader,
        PreLogIndex: u64 = prev_index,
        PreLogTerm: i64 = prev_term,
        Logs: Vec<Log> = entries,
        LeaderCommitIndex: u64 = commit,
    }
    AppendReply of Appended {
        FollowerTerm: i64 = term,
        Succ: bool = success,
        XTerm: OrMinusOne = conflict_term,
        XIndex: u64 = conflict_index,
    }
    SnapshotArgs of InstallSnapshot {
        LeaderTerm: i64 = term,
        LeaderIndex: usize = leader,
        LastIncludeIndex: u64 = base.index,
        LastIncludeTerm: i64 = base.term,
        CommandCount: u64 = base.number,
        Snapshot: Snapshot = data,
    }
    SnapshotReply of Installed {
        FollowerTerm: i64 = term,
    }
    State of Saved {
        CurTerm: i64 = term,
        VoteFor: OrMinusOne = voted_for,
        LastIncludeIndex: u64 = base.index,
        LastIncludeTerm: i64 = base.term,
        CommandCount: u64 = base.number,
        Logs: Vec<Log> = entries,
    }
}
