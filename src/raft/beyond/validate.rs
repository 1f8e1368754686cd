//! What no correct server sends.
//!
//! Numbers in messages are used as they are: a term is stored and saved, and sums are made with indices. So a message is refused if
//! it has a number that no cluster can reach, or a number that contradicts the rest of the message. The whole message is refused,
//! before anything is done with it, and nothing of it is saved. The log and the trace say so.

use crate::raft::append_entries::AppendEntriesArgs;
use crate::raft::beyond::pre_vote::PreVoteArgs;
use crate::raft::beyond::transfer::TimeoutNowArgs;
use crate::raft::install_snapshot::InstallSnapshotArgs;
use crate::raft::log::Members;
use crate::raft::log::Payload;
use crate::raft::request_vote::RequestVoteArgs;
use crate::raft::state::State;
use labrpc::trace;
use std::iter::once;

/// The highest valid term, index or offset. With an election every microsecond, a cluster gets to this term in 146,000 years. The
/// sum of such a number and the length of anything in memory does not overflow.
pub const HIGHEST: u64 = u64::MAX / 4;

/// Whether a message is valid, or why not.
type Validity = Result<(), &'static str>;

/// A request from another server.
pub trait Request {
    /// The name of its method.
    const METHOD: &'static str;

    /// The server that the request names as its sender, and the term that it names.
    fn sender(&self) -> (usize, u64);

    /// Checks everything else that is in the request.
    fn validate(&self, servers: usize) -> Validity;

    /// Whether the request, if it is granted, would depose a leader against that leader's will.
    fn would_depose(&self) -> bool {
        false
    }
}

impl State {
    /// Whether a correct server may have sent this request.
    pub(super) fn is_valid<R: Request>(&self, request: &R) -> bool {
        let valid = self.validate_sender(request).and_then(|()| request.validate(self.servers));
        valid.inspect_err(|why| complain(R::METHOD, why)).is_ok()
    }

    fn validate_sender<R: Request>(&self, request: &R) -> Validity {
        let (sender, term) = request.sender();
        ensure(sender < self.servers, "the network has no such sender")?;
        ensure(sender != self.me, "it names this server as the sender")?;
        validate_term(term)
    }
}

pub(super) fn complain(what: &str, why: &str) {
    log::warn!("ignores {what}: {why}");
    trace::note(format_args!("ignores {what}: {why}"));
}

fn ensure(valid: bool, otherwise: &'static str) -> Validity {
    if valid { Ok(()) } else { Err(otherwise) }
}

pub(super) fn validate_term(term: u64) -> Validity {
    ensure(term <= HIGHEST, "its term is impossibly high")
}

fn validate_index(index: u64) -> Validity {
    ensure(index <= HIGHEST, "an index in it is impossibly high")
}

/// Every configuration has at least one member, and all members are servers of the network.
fn validate_members(members: &Members, servers: usize) -> Validity {
    ensure(!members.is_empty(), "it has a configuration without members")?;
    let known = members.iter().all(|member| *member < servers);
    ensure(known, "it has a configuration with servers that the network doesn't have")
}

/// Terms never decrease along a log, and none of them is later than the term of the server that has the log (§5.3).
fn validate_order(terms: impl Iterator<Item = u64>) -> Validity {
    ensure(
        terms.is_sorted(),
        "an entry is of a later term than an entry after it, or than the sender",
    )
}

impl Request for RequestVoteArgs {
    const METHOD: &'static str = "RequestVote";

    fn sender(&self) -> (usize, u64) {
        (self.candidate_id, self.term)
    }

    fn validate(&self, _: usize) -> Validity {
        validate_index(self.last_log_index)?;
        validate_order([self.last_log_term, self.term].into_iter())
    }

    fn would_depose(&self) -> bool {
        !self.leadership_transfer
    }
}

impl Request for PreVoteArgs {
    const METHOD: &'static str = "PreVote";

    fn sender(&self) -> (usize, u64) {
        (self.candidate_id, self.term)
    }

    fn validate(&self, _: usize) -> Validity {
        validate_index(self.last_log_index)?;
        validate_order([self.last_log_term, self.term].into_iter())
    }
}

impl Request for AppendEntriesArgs {
    const METHOD: &'static str = "AppendEntries";

    fn sender(&self) -> (usize, u64) {
        (self.leader_id, self.term)
    }

    fn validate(&self, servers: usize) -> Validity {
        validate_index(self.prev_log_index)?;
        validate_index(self.leader_commit)?;
        let terms = self.entries.iter().map(|entry| entry.term);
        validate_order(once(self.prev_log_term).chain(terms).chain(once(self.term)))?;
        self.entries.iter().try_for_each(|entry| match &entry.payload {
            Payload::Members(members) => validate_members(members, servers),
            Payload::Command(_) | Payload::NoOp => Ok(()),
        })
    }
}

impl Request for InstallSnapshotArgs {
    const METHOD: &'static str = "InstallSnapshot";

    fn sender(&self) -> (usize, u64) {
        (self.leader_id, self.term)
    }

    fn validate(&self, servers: usize) -> Validity {
        validate_index(self.last_included_index)?;
        validate_order([self.last_included_term, self.term].into_iter())?;
        validate_members(&self.members, servers)?;
        ensure(self.offset <= HIGHEST, "its offset is impossibly high")
    }
}

impl Request for TimeoutNowArgs {
    const METHOD: &'static str = "TimeoutNow";

    fn sender(&self) -> (usize, u64) {
        (self.leader_id, self.term)
    }

    fn validate(&self, _: usize) -> Validity {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::append_entries::{AppendEntriesReply, Conflict};
    use crate::raft::beyond::pre_vote::PreVoteReply;
    use crate::raft::beyond::transfer::TimeoutNowReply;
    use crate::raft::install_snapshot::InstallSnapshotReply;
    use crate::raft::log::Entry;
    use crate::raft::request_vote::RequestVoteReply;
    use crate::raft::state::Role;
    use crate::raft::tests::{Server, at_ms, elect, entries};
    use labrpc::api::Snapshot;

    /// Numbers with which sums may overflow.
    const EXTREMES: [u64; 7] =
        [0, 1, HIGHEST, HIGHEST + 1, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];

    /// Servers in every role, of term 3.
    fn states() -> Vec<State> {
        let server = || Server::new(3).log(&[1, 2]).term(3);
        let follower = server().build();
        let mut pre_candidate = server().build();
        pre_candidate.become_pre_candidate(at_ms(0));
        let mut candidate = server().term(2).build();
        candidate.become_candidate(at_ms(0));
        let leader = server().leader_of_term(3).build();
        let mut sender = Server::new(3).log(&[1, 2]).leader_of_term(3).snapshot_to(1).build();
        sender.options.snapshot_chunk = Some(1);
        vec![follower, pre_candidate, candidate, leader, sender]
    }

    /// Handles each message in each role. Whatever is in the message, the server can go on, also after a restart.
    fn survives<M>(messages: &[M], handle: impl Fn(&mut State, &M)) {
        for message in messages {
            for mut state in states() {
                handle(&mut state, message);
                goes_on(&mut state);
                goes_on(&mut Server::restarted(&state));
            }
        }
    }

    fn goes_on(state: &mut State) {
        assert!((3..=HIGHEST).contains(&state.current_term), "{}", state.current_term);
        assert!(state.is_persisted());
        for now in [1_000, 2_000] {
            state.tick(at_ms(now));
            for peer in 1..state.servers {
                state.next_message(peer, at_ms(now));
            }
            state.take_committed();
        }
        if state.current_term < HIGHEST {
            elect(state);
            assert!(state.is_leader() && state.start(Default::default()).is_ok());
        } else {
            assert!(!state.may_become_candidate(), "there is no higher term for a candidacy");
        }
    }

    /// The valid message, and copies of it. Each copy has one of the extremes in one of its fields. No message comes from a second
    /// leader of term 3: nothing helps against two leaders of one term (Election Safety).
    fn variants<M: Clone>(valid: &M, fields: &[fn(&mut M, u64)]) -> Vec<M> {
        let each = fields.iter().flat_map(|field| EXTREMES.map(|extreme| (field, extreme)));
        let changed = each.map(|(field, extreme)| {
            let mut message = valid.clone();
            field(&mut message, extreme);
            message
        });
        once(valid.clone()).chain(changed).collect()
    }

    #[test]
    fn no_number_in_a_request_for_a_vote_does_harm() {
        let valid = RequestVoteArgs {
            term: 4,
            candidate_id: 1,
            last_log_index: 2,
            last_log_term: 2,
            leadership_transfer: false,
        };
        let fields: [fn(&mut RequestVoteArgs, u64); 4] = [
            |args, n| args.term = n,
            |args, n| args.candidate_id = n as usize,
            |args, n| args.last_log_index = n,
            |args, n| args.last_log_term = n,
        ];
        survives(&variants(&valid, &fields), |state, args| {
            state.handle_request_vote(args, at_ms(0));
        });
        let valid = PreVoteArgs { term: 4, candidate_id: 1, last_log_index: 2, last_log_term: 2 };
        let fields: [fn(&mut PreVoteArgs, u64); 4] = [
            |args, n| args.term = n,
            |args, n| args.candidate_id = n as usize,
            |args, n| args.last_log_index = n,
            |args, n| args.last_log_term = n,
        ];
        survives(&variants(&valid, &fields), |state, args| {
            state.handle_pre_vote(args, at_ms(9_000));
        });
    }

    #[test]
    fn no_number_in_entries_does_harm() {
        let valid = AppendEntriesArgs {
            term: 4,
            leader_id: 1,
            prev_log_index: 2,
            prev_log_term: 2,
            entries: entries(&[3, 4]),
            leader_commit: 0,
        };
        let fields: [fn(&mut AppendEntriesArgs, u64); 9] = [
            |args, n| args.term = n,
            |args, n| args.leader_id = n as usize,
            |args, n| args.prev_log_index = n,
            |args, n| args.prev_log_term = n,
            |args, n| args.leader_commit = n,
            |args, n| args.entries[0].term = n,
            |args, n| args.entries[1].term = n,
            |args, n| args.entries[1] = configuration(4, &[n as usize]),
            |args, _| args.entries[1] = configuration(4, &[]),
        ];
        survives(&variants(&valid, &fields), |state, args| {
            state.handle_append_entries(args.clone(), at_ms(0));
        });
    }

    fn configuration(term: u64, members: &[usize]) -> Entry {
        Entry { term, payload: Payload::Members(members.iter().copied().collect()) }
    }

    #[test]
    fn no_number_in_a_snapshot_does_harm() {
        let valid = InstallSnapshotArgs {
            term: 4,
            leader_id: 1,
            last_included_index: 5,
            last_included_term: 3,
            members: Members::from([0, 1, 2]),
            offset: 0,
            data: Snapshot::from(vec![7]),
            done: true,
        };
        let fields: [fn(&mut InstallSnapshotArgs, u64); 7] = [
            |args, n| args.term = n,
            |args, n| args.leader_id = n as usize,
            |args, n| args.last_included_index = n,
            |args, n| args.last_included_term = n,
            |args, n| args.offset = n,
            |args, n| args.members = Members::from([n as usize]),
            |args, _| args.members = Members::new(),
        ];
        survives(&variants(&valid, &fields), |state, args| {
            state.handle_install_snapshot(args.clone(), at_ms(0));
        });
    }

    #[test]
    fn no_number_in_timeout_now_does_harm() {
        let valid = TimeoutNowArgs { term: 3, leader_id: 1 };
        let fields: [fn(&mut TimeoutNowArgs, u64); 2] =
            [|args, n| args.term = n, |args, n| args.leader_id = n as usize];
        survives(&variants(&valid, &fields), |state, args| {
            state.handle_timeout_now(args, at_ms(0));
        });
    }

    #[test]
    fn no_number_in_a_reply_to_a_candidate_does_harm() {
        let terms = EXTREMES.map(|term| RequestVoteReply { term, vote_granted: true });
        survives(&terms, |state, reply| {
            let args = state.request_vote_args();
            state.handle_request_vote_reply(1, &args, reply, at_ms(0));
        });
        let terms = EXTREMES.map(|term| PreVoteReply { term, vote_granted: true });
        survives(&terms, |state, reply| {
            let args = state.pre_vote_args();
            state.handle_pre_vote_reply(1, &args, reply, at_ms(0));
        });
    }

    #[test]
    fn no_number_in_a_reply_to_a_leader_does_harm() {
        let conflict = Some(Conflict { term: Some(1), index: 1 });
        let valid = AppendEntriesReply { term: 3, success: false, conflict };
        let fields: [fn(&mut AppendEntriesReply, u64); 4] = [
            |reply, n| reply.term = n,
            |reply, n| reply.conflict = Some(Conflict { term: Some(n), index: 1 }),
            |reply, n| reply.conflict = Some(Conflict { term: Some(1), index: n }),
            |reply, n| reply.conflict = Some(Conflict { term: None, index: n }),
        ];
        survives(&variants(&valid, &fields), |state, reply| {
            let args = state.append_entries_args(state.log.last_index() + 1);
            state.handle_append_entries_reply(1, &args, reply, at_ms(0));
        });
        let terms = EXTREMES.map(|term| TimeoutNowReply { term });
        survives(&terms, |state, reply| {
            let args = TimeoutNowArgs { term: state.current_term, leader_id: state.me };
            state.handle_timeout_now_reply(&args, reply, at_ms(0));
        });
    }

    #[test]
    fn no_number_in_a_reply_to_a_snapshot_does_harm() {
        let valid = InstallSnapshotReply { term: 3, success: false, received: 0 };
        let fields: [fn(&mut InstallSnapshotReply, u64); 2] =
            [|reply, n| reply.term = n, |reply, n| reply.received = n];
        survives(&variants(&valid, &fields), |state, reply| {
            if let Role::Leader { .. } = state.role {
                let args = state.next_chunk(1);
                state.handle_install_snapshot_reply(1, &args, reply, at_ms(0));
            }
        });
    }

    #[test]
    fn a_message_that_is_refused_changes_nothing() {
        let mut state = Server::new(3).log(&[1, 2]).term(3).build();
        let args = AppendEntriesArgs {
            term: u64::MAX,
            leader_id: 1,
            prev_log_index: 2,
            prev_log_term: 2,
            entries: Vec::new(),
            leader_commit: 2,
        };
        let reply = state.handle_append_entries(args, at_ms(9_000));
        assert_eq!(reply, AppendEntriesReply { term: 3, success: false, conflict: None });
        assert_eq!((state.current_term, state.leader(), state.commit_index), (3, None, 0));
        assert!(state.election_due(at_ms(9_000)), "its election timer is not reset");
    }
}
