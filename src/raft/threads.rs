//! The threads, and what each of them waits for. Only this file and mod.rs take Raft's lock.
//!
//! | thread | waits for | woken by |
//! |---|---|---|
//! | `ticker` | the election deadline; beyond the lab, the time by which a majority must have answered the leader | time; a change of role; an earlier deadline |
//! | `peer N`, one for each other server (or several: [`Options::max_in_flight`](super::Options::max_in_flight)) | a message to send to server N; then the reply to it, and a late reply to an earlier message | time; a change of role or log |
//! | `applier` | committed entries, or a snapshot; then the service | the commit index, an installed snapshot |
//! | a caller that reads, transfers the leadership or changes the members (beyond the lab) | the end of that operation | all of the above |
//!
//! `kill` wakes all of them, and joins those that the server has started. No thread calls, sends or sleeps while it holds the lock.
//! When the lock is released, the [`Guard`] wakes the threads that the change concerns, so no other code has to remember to.

use super::calls::{Call, Reply, Waited};
use super::messages::Next;
use super::state::{Role, State};
use labrpc::ClientEnd;
use labrpc::api::ApplyMsg;
use labrpc::channel::{Receiver, Sender, select};
use labrpc::sync::{Arc, Condvar, Mutex, MutexGuard};
use labrpc::thread::{Builder, JoinHandle};
use labrpc::time::{Duration, Instant};
use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::{Deref, DerefMut};

/// What the threads of a server share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Where the ticker, the peers' threads, the applier and callers wait.
    ticker: Condvar,
    peers: Condvar,
    applier: Condvar,
    callers: Condvar,
}

impl Shared {
    /// A server whose threads are not started yet.
    pub fn new(state: State) -> Shared {
        let [ticker, peers, applier, callers] = [(); 4].map(|()| Condvar::new());
        Shared { state: Mutex::new(state), ticker, peers, applier, callers }
    }

    /// Takes Raft's lock.
    pub fn lock(&self) -> Guard<'_> {
        let state = self.state.lock();
        Guard { shared: self, before: Seen::of(&state), state }
    }

    /// Runs `step` under Raft's lock.
    pub fn with<R>(&self, step: impl FnOnce(&mut State) -> R) -> R {
        step(&mut self.lock())
    }

    /// Starts the threads. They end when `killed` is disconnected and [`State::killed`] is set.
    pub fn run(
        self: &Arc<Shared>,
        peers: Vec<ClientEnd>,
        apply_ch: Sender<ApplyMsg>,
        killed: &Receiver<()>,
    ) -> Vec<JoinHandle<()>> {
        let (me, at_once) = {
            let state = self.lock();
            (state.me, state.options.max_in_flight.max(1))
        };
        let (shared, stop) = (self.clone(), killed.clone());
        let mut threads = vec![
            start("applier", move || shared.applier(&apply_ch, &stop)),
            start("ticker", {
                let shared = self.clone();
                move || shared.ticker()
            }),
        ];
        for (peer, end) in peers.into_iter().enumerate().filter(|(peer, _)| *peer != me) {
            for _ in 0..at_once {
                let (shared, end, stop) = (self.clone(), end.clone(), killed.clone());
                let name = format!("peer {peer}");
                threads.push(start(&name, move || shared.peer(peer, &end, &stop)));
            }
        }
        threads
    }

    /// Starts an election, or steps down (beyond the lab), when this server has heard from nobody for too long.
    fn ticker(&self) {
        let mut state = self.lock();
        while !state.killed {
            let now = Instant::now();
            state.tick(now);
            let election = state.has_election_timer().then_some(state.election_deadline);
            let deadline = election.or(state.beyond_deadline(now));
            state.wait(&self.ticker, deadline);
        }
    }

    /// Sends one server the messages that a candidate or leader has for it.
    fn peer(&self, peer: usize, end: &ClientEnd, killed: &Receiver<()>) {
        let mut late = None;
        let mut state = self.lock();
        while !state.killed {
            match state.next_message(peer, Instant::now()) {
                Next::Wait => state.wait(&self.peers, None),
                Next::WaitUntil(moment) => state.wait(&self.peers, Some(moment)),
                Next::Send(message, ticket) => {
                    let patience = Patience::of(&state);
                    drop(state);
                    let call = Call::send(end, message, ticket);
                    state = self.exchange(peer, call, &mut late, &patience, killed);
                }
            }
        }
    }

    /// Waits for the reply to `call`, and at the same time for the reply to `late`, an earlier call. When `call` times out, this
    /// function returns, so that the thread can send its next message. The thread goes on listening for one late reply.
    fn exchange(
        &self,
        peer: usize,
        call: Call,
        late: &mut Option<Call>,
        patience: &Patience,
        killed: &Receiver<()>,
    ) -> Guard<'_> {
        let mut timeout = patience.call;
        loop {
            match call.wait(late.as_ref(), timeout, killed) {
                Waited::Reply(reply) => {
                    self.answered(peer, &call, &reply);
                    return self.lock();
                }
                Waited::Lost => {
                    self.lock().note_no_reply(peer, call.ticket);
                    return self.lock();
                }
                Waited::TimedOut => {
                    let mut state = self.lock();
                    state.note_no_reply(peer, call.ticket);
                    // The earliest late call is kept, because its reply comes next. But a late call is not kept for ever,
                    // because its reply may be lost.
                    late.take_if(|late| late.ticket.at + patience.late <= call.ticket.at);
                    late.get_or_insert(call);
                    return state;
                }
                Waited::LateReply(reply) => {
                    if let (Some(late), Some(reply)) = (late.take(), reply) {
                        self.answered(peer, &late, &reply);
                    }
                    let deadline = call.ticket.at + patience.call;
                    timeout = deadline.saturating_duration_since(Instant::now());
                }
            }
        }
    }

    fn answered(&self, peer: usize, call: &Call, reply: &Reply) {
        let mut state = self.lock();
        let now = Instant::now();
        call.answered(&mut state, peer, reply, now);
    }

    /// Calls `step` now, and again whenever something has changed, until `step` breaks. If `step` continues with a moment, it is
    /// called again at that moment at the latest.
    pub fn until<R>(
        &self,
        mut step: impl FnMut(&mut State, Instant) -> ControlFlow<R, Option<Instant>>,
    ) -> R {
        let mut state = self.lock();
        loop {
            match step(&mut state, Instant::now()) {
                Break(result) => return result,
                Continue(deadline) => state.wait(&self.callers, deadline),
            }
        }
    }

    /// Sends committed entries to the service, in order. It does so without the lock, because the service may call `snapshot`
    /// before it receives the next message.
    fn applier(&self, apply_ch: &Sender<ApplyMsg>, killed: &Receiver<()>) {
        while let Some(messages) = self.next_committed() {
            for message in messages {
                let sent = select! {
                    send(apply_ch, message) -> sent => sent.is_ok(),
                    recv(killed) -> _ => false,
                };
                if !sent {
                    return;
                }
            }
        }
    }

    /// Waits for something to apply. Returns `None` if the server is killed.
    fn next_committed(&self) -> Option<Vec<ApplyMsg>> {
        let mut state = self.lock();
        while !state.killed {
            if state.has_unapplied() {
                return Some(state.take_committed());
            }
            state.wait(&self.applier, None);
        }
        None
    }
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name).spawn(body).expect("the system refuses another thread")
}

/// How long a thread waits for a reply before it makes the next call, and how long it listens for a late reply.
struct Patience {
    call: Duration,
    late: Duration,
}

impl Patience {
    /// A reply that takes longer than the shortest election timeout is too late for any election.
    fn of(state: &State) -> Patience {
        let options = &state.options;
        Patience { call: options.call_timeout, late: options.election_timeout.start }
    }
}

/// Raft's lock while it is held. On release it checks the invariants (in debug builds) and wakes the threads that the change
/// concerns.
pub(super) struct Guard<'a> {
    shared: &'a Shared,
    before: Seen,
    state: MutexGuard<'a, State>,
}

/// The parts of the state that threads wait for, or that must not go back while the lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// See [`State::current_term`].
    pub term: u64,
    /// See [`State::voted_for`].
    pub voted_for: Option<usize>,
    /// See [`State::role`].
    pub role: RoleName,
    /// See [`super::log::Log::last_index`].
    pub last_index: u64,
    /// See [`State::commit_index`].
    pub commit_index: u64,
    /// See [`State::last_applied`].
    pub last_applied: u64,
    /// See [`State::calls_ended`].
    calls_ended: u64,
    /// Beyond the lab, on a leader: the number that reads wait for (see
    /// [`LeaderState::confirm`](super::state::LeaderState::confirm)), whether a transfer is under way, and whether a
    /// configuration change is under way.
    wanted: Option<(u64, bool, bool)>,
    has_election_timer: bool,
    election_deadline: Instant,
    killed: bool,
}

/// The roles without their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleName {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

impl Seen {
    /// These parts of the state as they are now.
    pub fn of(state: &State) -> Seen {
        Seen {
            term: state.current_term,
            voted_for: state.voted_for,
            role: match state.role {
                Role::Follower { .. } => RoleName::Follower,
                Role::PreCandidate { .. } => RoleName::PreCandidate,
                Role::Candidate { .. } => RoleName::Candidate,
                Role::Leader { .. } => RoleName::Leader,
            },
            last_index: state.log.last_index(),
            commit_index: state.commit_index,
            last_applied: state.last_applied,
            calls_ended: state.calls_ended,
            wanted: match &state.role {
                Role::Leader { leadership, .. } => Some((
                    leadership.confirm,
                    leadership.transfer.is_some(),
                    leadership.change.is_some(),
                )),
                _ => None,
            },
            has_election_timer: state.has_election_timer(),
            election_deadline: state.election_deadline,
            killed: state.killed,
        }
    }
}

impl Guard<'_> {
    /// Releases the lock, waits for a change or for `deadline`, and takes the lock again.
    fn wait(&mut self, condvar: &Condvar, deadline: Option<Instant>) {
        self.before_release();
        match deadline {
            Some(deadline) => _ = condvar.wait_until(&mut self.state, deadline),
            None => condvar.wait(&mut self.state),
        }
        self.before = Seen::of(&self.state);
    }

    fn before_release(&mut self) {
        let (before, now) = (self.before, Seen::of(&self.state));
        #[cfg(debug_assertions)]
        if !std::thread::panicking() {
            self.state.check_invariants(&before);
        }
        let killed = before.killed != now.killed;
        let elected_or_deposed = (before.term, before.role) != (now.term, now.role);
        let earlier = now.election_deadline < before.election_deadline;
        if elected_or_deposed
            || earlier
            || before.has_election_timer != now.has_election_timer
            || killed
        {
            self.shared.ticker.notify_all();
        }
        let news = now.role == RoleName::Leader && before.last_index != now.last_index;
        let asks_again =
            now.role == RoleName::PreCandidate && before.election_deadline != now.election_deadline;
        let room = self.state.options.max_in_flight > 1 && before.calls_ended != now.calls_ended;
        if elected_or_deposed || asks_again || news || room || before.wanted != now.wanted || killed
        {
            self.shared.peers.notify_all();
        }
        if self.state.has_unapplied() || killed {
            self.shared.applier.notify_all();
        }
        if before != now {
            self.shared.callers.notify_all();
        }
        self.before = now;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.before_release();
    }
}

impl Deref for Guard<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}
