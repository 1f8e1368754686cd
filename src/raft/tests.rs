//! States for the tests, without threads.

use super::install_snapshot::InstallSnapshotArgs;
use super::log::{Entry, Members, Payload};
use super::messages::{Message, Next, Ticket};
use super::options::Options;
use super::persist::Record;
use super::request_vote::RequestVoteReply;
use super::state::{Progress, Role, State};
use labrpc::Persister;
use labrpc::api::{Command, Snapshot};
use labrpc::time::{Duration, Instant};
use std::ops::RangeInclusive;

/// `ms` milliseconds after a fixed moment.
pub fn at_ms(ms: u64) -> Instant {
    Instant::at(Duration::from_millis(ms))
}

/// Entries of these terms.
pub fn entries(terms: &[u64]) -> Vec<Entry> {
    let payload = || Payload::Command(Command::default());
    terms.iter().map(|&term| Entry { term, payload: payload() }).collect()
}

/// A snapshot of one byte up to this index, from server 1.
pub fn install(term: u64, index: u64, index_term: u64) -> InstallSnapshotArgs {
    InstallSnapshotArgs {
        term,
        leader_id: 1,
        last_included_index: index,
        last_included_term: index_term,
        members: Members::from([0, 1, 2]),
        offset: 0,
        data: Snapshot::from(vec![index as u8]),
        done: true,
    }
}

/// What a leader knows of each server.
pub fn progress(state: &State) -> &[Progress] {
    match &state.role {
        Role::Leader { progress, .. } => progress,
        other => panic!("{other:?} has no progress"),
    }
}

/// Server 0 becomes a candidate, and all others vote for it.
pub fn elect(state: &mut State) {
    state.become_candidate(at_ms(0));
    for peer in 1..state.servers {
        let args = state.request_vote_args();
        let yes = RequestVoteReply { term: args.term, vote_granted: true };
        state.handle_request_vote_reply(peer, &args, &yes, at_ms(0));
    }
}

/// Sends `peer` its next message.
pub fn sent(state: &mut State, peer: usize, now: Instant) -> Ticket {
    match state.next_message(peer, now) {
        Next::Send(_, ticket) => ticket,
        other => panic!("nothing to send: {other:?}"),
    }
}

/// Sends server 1 its next entries. Returns their indices.
pub fn entries_sent(state: &mut State, ms: u64) -> (RangeInclusive<u64>, Ticket) {
    match state.next_message(1, at_ms(ms)) {
        Next::Send(Message::AppendEntries(args), ticket) => {
            let (first, many) = (args.prev_log_index + 1, args.entries.len() as u64);
            (first..=args.prev_log_index + many, ticket)
        }
        other => panic!("{other:?}"),
    }
}

/// Sends `peer` its next message, which `peer` answers.
pub fn answer(state: &mut State, peer: usize, now: Instant) {
    let ticket = sent(state, peer, now);
    state.note_answer(peer, ticket);
}

/// Sends `peer` its next message, which gets no reply.
pub fn note_no_reply(state: &mut State, peer: usize, now: Instant) {
    let ticket = sent(state, peer, now);
    state.note_no_reply(peer, ticket);
}

/// Builds the state of server 0.
pub struct Server {
    servers: usize,
    options: Options,
    state: State,
}

impl Server {
    /// A new server in a cluster of this many servers.
    pub fn new(servers: usize) -> Server {
        Server::with(servers, Options::default())
    }

    fn with(servers: usize, options: Options) -> Server {
        let state = State::new(0, servers, Persister::new(), options.clone(), at_ms(0));
        Server { servers, options, state }
    }

    /// Check-quorum is on.
    pub fn checks_quorum(self) -> Server {
        Server::with(self.servers, Options { check_quorum: true, ..self.options })
    }

    /// The cluster has these members.
    pub fn members(self, members: &[usize]) -> Server {
        let members = Some(members.iter().copied().collect::<Members>());
        Server::with(self.servers, Options { members, ..self.options })
    }

    /// The log has entries of these terms.
    pub fn log(mut self, terms: &[u64]) -> Server {
        for entry in entries(terms) {
            self.state.log.append(entry);
        }
        self.state.current_term = self.state.log.last_term();
        self
    }

    /// The server is in this term.
    pub fn term(mut self, term: u64) -> Server {
        self.state.current_term = term;
        self
    }

    /// The server is elected in this term.
    pub fn leader_of_term(mut self, term: u64) -> Server {
        self.state.current_term = term - 1;
        elect(&mut self.state);
        self
    }

    /// Everything up to `index` is applied and in a snapshot.
    pub fn snapshot_to(mut self, index: u64) -> Server {
        self.state.commit_index = index;
        self.state.take_committed();
        self.state.snapshot(index, Snapshot::default());
        self
    }

    /// The state, after it is saved.
    pub fn build(mut self) -> State {
        self.state.persist();
        self.state
    }

    /// The same server after a crash.
    pub fn restarted(before: &State) -> State {
        let persister = before.disk.persister().succeed();
        State::new(before.me, before.servers, persister, before.options.clone(), at_ms(0))
    }
}

#[test]
fn a_restart_restores_term_vote_and_log() {
    let mut state = Server::new(3).log(&[1, 1, 2]).term(4).build();
    state.current_term = 6; // not the term of an entry
    state.voted_for = Some(2);
    state.log.truncate_after(1);
    state.log.append(entries(&[4]).remove(0));
    state.persist();
    let after = Server::restarted(&state);
    assert_eq!((after.current_term, after.voted_for), (6, Some(2)));
    assert_eq!(after.log, state.log);
    assert_eq!((after.commit_index, after.last_applied), (0, 0));
}

#[test]
fn a_save_writes_only_what_has_changed() {
    let mut state = Server::new(3).leader_of_term(1).build();
    let size = |state: &State| state.disk.persister().raft_state_size();
    for _ in 0..100 {
        state.start(Command::from(vec![0; 100])).unwrap();
    }
    let (before, records) = (size(&state), state.disk.persister().records::<Record>().len());
    assert_eq!(records, 101, "a vote, and a record for each start");
    state.start(Command::from(vec![0; 100])).unwrap();
    assert!(size(&state) - before < 120, "one entry, not the whole log");
}
