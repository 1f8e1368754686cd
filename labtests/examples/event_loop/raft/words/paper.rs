//! The names of Figures 2 and 13. The type of indices is a parameter, because not all implementations count from 1.

/// Makes the forms of all messages, and the type `$words`, which names them.
macro_rules! papers_names {
    ($words:ident, $index:ty) => {
        use crate::raft::messages::{
            AppendEntries, Appended, Entry, InstallSnapshot, Installed, RequestVote, Saved, Vote,
        };
        use crate::raft::words::{Words, forms};
        use labrpc::api::{Command, Snapshot};

        pub struct $words;

        impl Words for $words {
            type RequestVote = RequestVoteArgs;
            type Vote = RequestVoteReply;
            type AppendEntries = AppendEntriesArgs;
            type Appended = AppendEntriesReply;
            type InstallSnapshot = InstallSnapshotArgs;
            type Installed = InstallSnapshotReply;
            type Saved = Persistent;
        }

        forms! {
            RequestVoteArgs of RequestVote {
                term: i64 = term,
                candidate_id: usize = candidate,
                last_log_index: $index = last_index,
                last_log_term: i64 = last_term,
            }
            RequestVoteReply of Vote {
                term: i64 = term,
                vote_granted: bool = granted,
            }
            LogEntry of Entry {
                term: i64 = term,
                command: Option<Command> = command,
            }
            AppendEntriesArgs of AppendEntries {
                term: i64 = term,
                leader_id: usize = leader,
                prev_log_index: $index = prev_index,
                prev_log_term: i64 = prev_term,
                entries: Vec<LogEntry> = entries,
                leader_commit: u64 = commit,
            }
            AppendEntriesReply of Appended {
                term: i64 = term,
                success: bool = success,
                conflict_term: Option<i64> = conflict_term,
                conflict_index: $index = conflict_index,
            }
            InstallSnapshotArgs of InstallSnapshot {
                term: i64 = term,
                leader_id: usize = leader,
                last_included_index: $index = base.index,
                last_included_term: i64 = base.term,
                commands: u64 = base.number,
                data: Snapshot = data,
            }
            InstallSnapshotReply of Installed {
                term: i64 = term,
            }
            Persistent of Saved {
                current_term: i64 = term,
                voted_for: Option<usize> = voted_for,
                last_included_index: $index = base.index,
                last_included_term: i64 = base.term,
                commands: u64 = base.number,
                log: Vec<LogEntry> = entries,
            }
        }
    };
}
pub(super) use papers_names;

papers_names!(Paper, u64);
