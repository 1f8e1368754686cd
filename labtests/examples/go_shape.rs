//! A Raft in the shape of Go solutions of the lab, for readers who port one: a mutex around everything, a ticker,
//! an applier, a thread per RPC. It uses only `labrpc` of the lab. Run the lab's tests on it with
//!
//! ```text
//! cargo run --release -p labtests --example go_shape -- --seeds 20
//! ```
//!
//! The names are Go's names in snake_case. The idioms have become:
//!
//! | Go | here |
//! |---|---|
//! | `rf.mu.Lock(); defer rf.mu.Unlock()` | `let mut rf = self.mu.lock();`: what the mutex guards is inside it, and the guard unlocks at the end of its scope (earlier: `drop(rf)` or a block) |
//! | a method "with rf.mu held" | a method of [`Locked`], which can be reached only with the lock; or a method with a parameter `rf: &mut Locked` |
//! | `go rf.f(x)`, `go func() {..}()` | `self.go(move \|raft\| raft.f(x))`, which is `thread::spawn` |
//! | `time.Sleep`, `time.Now`, `rand` | `time::sleep`, `Instant::now`, `labrpc::rand::rng()`: never those of std, so that a seed replays the run |
//! | `sync.NewCond(&rf.mu)`, `cond.Wait()` | `Condvar`, `cond.wait(&mut rf)`: it gets the lock as an argument of `wait` |
//! | `rf.killed()` with `atomic.LoadInt32` | the same, with an `AtomicBool` |
//! | `ok := peer.Call("Raft.F", &args, &reply)` | `let Some(reply) = peer.call("Raft.F", &args) else ..` |
//! | `labgob` encode, `persister.Save` | `persister.save_state(&..)`, `persister.save(&.., snapshot)` |
//! | `applyCh <- msg` | `apply_ch.send(msg)`, an error when no receiver is left |
//! | capital letters for what RPCs carry | `#[derive(Serialize, Deserialize)]` |

use labrpc::api::{ApplyMsg, Command, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::rand::{RngExt, rng};
use labrpc::sync::{Arc, Condvar, Mutex, Weak};
use labrpc::time::{Duration, Instant, sleep};
use labrpc::{ClientEnd, Persister, Service, thread};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// The lab wants no more than ten heartbeats a second.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// How long the ticker sleeps, in milliseconds. It is several heartbeats, so that one lost heartbeat makes no candidate, and the
/// range is wide, so that two candidates seldom compete. Two timeouts fit well into the five seconds that the lab allows.
const ELECTION_TIMEOUT_MS: Range<u64> = 400..800;

/// Go's `Raft`. The fields that Go's mutex guards are in [`Locked`]. The other fields never change.
pub struct Raft {
    mu: Mutex<Locked>,
    /// "There is something to apply."
    apply_cond: Condvar,
    peers: Vec<ClientEnd>,
    me: usize,
    dead: AtomicBool,
    /// A goroutine keeps `rf` alive by using it. A thread has to own what it uses, an `Arc<Raft>`, but a method has
    /// only `&self`. [`go`](Raft::go) gets the `Arc` from here.
    this: Weak<Raft>,
}

/// What `rf.mu` guards. Log indices begin at 1, as in the paper.
struct Locked {
    persister: Persister,
    // Figure 2, persistent.
    current_term: u64,
    voted_for: Option<usize>, // -1 in Go
    /// The entries after the snapshot. `log[0]` stands for the last entry in the snapshot, of which only the term is left.
    /// Before the first snapshot, it is an entry with index 0 and term 0, which every server has.
    log: Vec<LogEntry>,
    /// The index of `log[0]`.
    last_included_index: u64,
    // Figure 2, volatile.
    commit_index: u64,
    last_applied: u64,
    next_index: Vec<u64>,
    match_index: Vec<u64>,
    role: Role,
    /// When this server last heard a leader or granted a vote.
    last_heard: Instant,
    /// How many votes this server has as a candidate. In Go, it is often a variable that the closures of an election share.
    votes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Follower,
    Candidate,
    Leader,
}

#[derive(Clone, Serialize, Deserialize)]
struct LogEntry {
    term: u64,
    command: Command,
}

/// Go encodes these one by one, in an order on which the encoder and the decoder have to agree.
#[derive(Serialize, Deserialize)]
struct PersistentState {
    current_term: u64,
    voted_for: Option<usize>,
    last_included_index: u64,
    log: Vec<LogEntry>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RequestVoteArgs {
    term: u64,
    candidate_id: usize,
    last_log_index: u64,
    last_log_term: u64,
}

#[derive(Serialize, Deserialize)]
struct RequestVoteReply {
    term: u64,
    vote_granted: bool,
}

#[derive(Serialize, Deserialize)]
struct AppendEntriesArgs {
    term: u64,
    leader_id: usize,
    prev_log_index: u64,
    prev_log_term: u64,
    entries: Vec<LogEntry>,
    leader_commit: u64,
}

#[derive(Serialize, Deserialize)]
struct AppendEntriesReply {
    term: u64,
    success: bool,
    /// The term of the follower's entry at prev_log_index, or `None` (in Go -1) if its log is too short.
    x_term: Option<u64>,
    /// The index of the follower's first entry of that term.
    x_index: u64,
    /// The length of the follower's log, including index 0.
    x_len: u64,
}

#[derive(Serialize, Deserialize)]
struct InstallSnapshotArgs {
    term: u64,
    leader_id: usize,
    last_included_index: u64,
    last_included_term: u64,
    data: Snapshot,
}

#[derive(Serialize, Deserialize)]
struct InstallSnapshotReply {
    term: u64,
}

// Making and killing a Raft, and the calls to it.

impl Raft {
    /// Go's `Make`. RPC handlers are not found by reflection; the [`Service`] names them.
    pub fn make(
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<Raft>, Vec<Service>) {
        let raft = Arc::new_cyclic(|this| Raft {
            mu: Mutex::new(Locked::read_persist(persister, peers.len())),
            apply_cond: Condvar::new(),
            peers,
            me,
            dead: AtomicBool::new(false),
            this: this.clone(),
        });
        // Threads that run as long as the server get a name, which reports show.
        let ticker = raft.clone();
        thread::Builder::new().name("ticker").spawn(move || ticker.ticker()).expect("a thread");
        let applier = raft.clone();
        let apply = move || applier.applier(&apply_ch);
        thread::Builder::new().name("applier").spawn(apply).expect("a thread");
        let (vote, append, install) = (raft.clone(), raft.clone(), raft.clone());
        let service = Service::new("Raft")
            .method("RequestVote", move |args| vote.request_vote(&args))
            .method("AppendEntries", move |args| append.append_entries(args))
            .method("InstallSnapshot", move |args| install.install_snapshot(args));
        (raft, vec![service])
    }

    /// Go's `go func() {..}()`.
    fn go(&self, body: impl FnOnce(&Raft) + Send + 'static) {
        let raft = self.this.upgrade().expect("the caller of a method holds the Raft");
        thread::spawn(move || body(&raft));
    }

    fn killed(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn others(&self) -> impl Iterator<Item = usize> {
        let me = self.me;
        (0..self.peers.len()).filter(move |server| *server != me)
    }

    fn majority(&self) -> usize {
        self.peers.len() / 2 + 1
    }
}

/// What the tester and the service call.
impl labrpc::api::Raft for Raft {
    /// Go returns `(index, term, isLeader)`.
    fn start(&self, command: Command) -> Result<Started, Refused> {
        let mut rf = self.mu.lock();
        if self.killed() {
            return Err(Refused::Stopped);
        }
        if rf.role != Role::Leader {
            return Err(Refused::NotLeader { leader: None });
        }
        let term = rf.current_term;
        rf.log.push(LogEntry { term, command });
        rf.persist();
        self.broadcast(term); // at once, and not with the next heartbeat
        self.advance_commit_index(&mut rf); // a single server is a majority
        Ok(Started { index: rf.last_log_index(), term })
    }

    fn get_state(&self) -> (u64, bool) {
        let rf = self.mu.lock();
        (rf.current_term, rf.role == Role::Leader)
    }

    /// The service calls this from the thread that reads the apply channel. So a thread that sends on that channel must
    /// not hold the lock that is taken here.
    fn snapshot(&self, index: u64, snapshot: Snapshot) {
        let mut rf = self.mu.lock();
        if index <= rf.last_included_index || index > rf.last_applied {
            return;
        }
        rf.discard_up_to(index);
        let state = rf.persistent_state();
        rf.persister.save(&state, snapshot);
    }

    /// Only sets a flag, as in Go. Every loop checks the flag: the ticker and the heartbeats after they have slept, the applier
    /// when the ticker wakes it for the last time, and the thread of an RPC when the network has given up the call.
    fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }
}

// Elections.

impl Raft {
    /// Starts an election if no leader was heard and no vote granted while it slept.
    fn ticker(&self) {
        while !self.killed() {
            let fell_asleep = Instant::now();
            let ms = rng().random_range(ELECTION_TIMEOUT_MS);
            sleep(Duration::from_millis(ms));
            let mut rf = self.mu.lock();
            if rf.role != Role::Leader && rf.last_heard < fell_asleep && !self.killed() {
                self.start_election(&mut rf);
            }
        }
        // The applier may wait for a commit that doesn't come any more. While this thread holds the lock, the applier either
        // waits or has yet to check the flag, so no wake-up is lost.
        let _rf = self.mu.lock();
        self.apply_cond.notify_all();
    }

    fn start_election(&self, rf: &mut Locked) {
        rf.role = Role::Candidate;
        rf.current_term += 1;
        rf.voted_for = Some(self.me);
        rf.votes = 1;
        rf.persist();
        let args = RequestVoteArgs {
            term: rf.current_term,
            candidate_id: self.me,
            last_log_index: rf.last_log_index(),
            last_log_term: rf.last_log_term(),
        };
        for server in self.others() {
            let args = args.clone(); // a Go closure would share it; here each thread owns its copy
            self.go(move |raft| raft.ask_for_vote(server, &args));
        }
        self.lead_if_elected(rf); // a single server is a majority
    }

    /// Runs in a separate thread for each vote: the call may take seconds, and waits without the lock.
    fn ask_for_vote(&self, server: usize, args: &RequestVoteArgs) {
        let reply = self.peers[server].call::<_, RequestVoteReply>("Raft.RequestVote", args);
        let Some(reply) = reply else { return };
        let mut rf = self.mu.lock();
        if !rf.still(Role::Candidate, args.term, reply.term) || !reply.vote_granted {
            return;
        }
        rf.votes += 1;
        self.lead_if_elected(&mut rf);
    }

    fn lead_if_elected(&self, rf: &mut Locked) {
        if rf.votes >= self.majority() {
            rf.role = Role::Leader;
            rf.next_index = vec![rf.last_log_index() + 1; self.peers.len()];
            rf.match_index = vec![0; self.peers.len()];
            let term = rf.current_term;
            self.go(move |raft| raft.heartbeats(term));
        }
    }

    fn request_vote(&self, args: &RequestVoteArgs) -> RequestVoteReply {
        let mut rf = self.mu.lock();
        if args.term > rf.current_term {
            rf.become_follower(args.term);
        }
        let up_to_date =
            (args.last_log_term, args.last_log_index) >= (rf.last_log_term(), rf.last_log_index());
        let free = rf.voted_for.is_none_or(|voted_for| voted_for == args.candidate_id);
        let vote_granted = args.term == rf.current_term && free && up_to_date;
        if vote_granted {
            rf.voted_for = Some(args.candidate_id);
            rf.persist(); // before the reply leaves
            rf.last_heard = Instant::now();
        }
        RequestVoteReply { term: rf.current_term, vote_granted }
    }
}

// Replication.

impl Raft {
    /// Runs in a thread for each leadership, and ends with that leadership.
    fn heartbeats(&self, term: u64) {
        while !self.killed() {
            let rf = self.mu.lock();
            if rf.role != Role::Leader || rf.current_term != term {
                return;
            }
            self.broadcast(term);
            drop(rf); // a thread that sleeps with the lock blocks all others, also the heartbeats
            sleep(HEARTBEAT);
        }
    }

    /// Sends each peer what it lacks, in a separate thread. If the peer lacks nothing, that is a heartbeat.
    fn broadcast(&self, term: u64) {
        for server in self.others() {
            self.go(move |raft| raft.replicate(server, term));
        }
    }

    /// Sends to one peer, and sends again at once as long as that makes progress.
    fn replicate(&self, server: usize, term: u64) {
        loop {
            let rf = self.mu.lock();
            if rf.role != Role::Leader || rf.current_term != term {
                return; // it sends only in the term in which it was elected
            }
            let again = if rf.next_index[server] <= rf.last_included_index {
                let args = InstallSnapshotArgs {
                    term,
                    leader_id: self.me,
                    last_included_index: rf.last_included_index,
                    last_included_term: rf.log[0].term,
                    data: rf.snapshot(),
                };
                drop(rf);
                self.send_snapshot(server, &args)
            } else {
                let prev_log_index = rf.next_index[server] - 1;
                let args = AppendEntriesArgs {
                    term,
                    leader_id: self.me,
                    prev_log_index,
                    prev_log_term: rf.term_at(prev_log_index),
                    entries: rf.log[rf.position(prev_log_index) + 1..].to_vec(),
                    leader_commit: rf.commit_index,
                };
                drop(rf);
                self.send_entries(server, &args)
            };
            if !again || self.killed() {
                return;
            }
        }
    }

    /// Whether there is something else to send now.
    fn send_entries(&self, server: usize, args: &AppendEntriesArgs) -> bool {
        let reply = self.peers[server].call::<_, AppendEntriesReply>("Raft.AppendEntries", args);
        let Some(reply) = reply else { return false };
        let mut rf = self.mu.lock();
        if !rf.still(Role::Leader, args.term, reply.term) {
            return false;
        }
        if reply.success {
            // The follower has what was sent, not what the log holds by now. Replies may overtake each other.
            let matches = args.prev_log_index + args.entries.len() as u64;
            if matches > rf.match_index[server] {
                rf.match_index[server] = matches;
                rf.next_index[server] = matches + 1;
                self.advance_commit_index(&mut rf);
            }
            return false;
        }
        // Another reply may have moved next_index since. Then this reply is old.
        if rf.next_index[server] != args.prev_log_index + 1 {
            return false;
        }
        rf.next_index[server] =
            rf.back_up(args.prev_log_index, &reply).max(rf.match_index[server] + 1);
        true
    }

    /// Whether there is something else to send now.
    fn send_snapshot(&self, server: usize, args: &InstallSnapshotArgs) -> bool {
        let reply =
            self.peers[server].call::<_, InstallSnapshotReply>("Raft.InstallSnapshot", args);
        let Some(reply) = reply else { return false };
        let mut rf = self.mu.lock();
        let still = rf.still(Role::Leader, args.term, reply.term);
        if !still || args.last_included_index <= rf.match_index[server] {
            return false;
        }
        rf.match_index[server] = args.last_included_index;
        rf.next_index[server] = args.last_included_index + 1;
        rf.next_index[server] <= rf.last_log_index()
    }

    /// If a majority has an entry of the present term, that entry and all entries before it are committed. Entries of older
    /// terms are never committed by counting: Figure 8 shows why.
    fn advance_commit_index(&self, rf: &mut Locked) {
        for n in (rf.commit_index + 1..=rf.last_log_index()).rev() {
            if rf.term_at(n) != rf.current_term {
                return;
            }
            let others = rf.match_index.iter().filter(|index| **index >= n).count();
            if others + 1 >= self.majority() {
                rf.commit_index = n;
                self.apply_cond.notify_all();
                return;
            }
        }
    }

    fn append_entries(&self, mut args: AppendEntriesArgs) -> AppendEntriesReply {
        let mut rf = self.mu.lock();
        let mut reply = AppendEntriesReply {
            term: rf.current_term,
            success: false,
            x_term: None,
            x_index: 0,
            x_len: rf.last_log_index() + 1,
        };
        if args.term < rf.current_term {
            return reply;
        }
        rf.become_follower(args.term);
        rf.last_heard = Instant::now();
        reply.term = rf.current_term;
        // What the snapshot covers is committed, so it is the same on the leader and here.
        if args.prev_log_index < rf.last_included_index {
            let covered = (rf.last_included_index - args.prev_log_index) as usize;
            args.entries.drain(..covered.min(args.entries.len()));
            args.prev_log_index = rf.last_included_index;
            args.prev_log_term = rf.log[0].term;
        }
        if args.prev_log_index > rf.last_log_index() {
            return reply;
        }
        let x_term = rf.term_at(args.prev_log_index);
        if x_term != args.prev_log_term {
            reply.x_term = Some(x_term);
            reply.x_index = rf.first_index_of(x_term);
            return reply;
        }
        let last_new = args.prev_log_index + args.entries.len() as u64;
        rf.merge(args.prev_log_index, args.entries);
        // Only up to the last entry of this message: after it, this log may differ from the leader's.
        if args.leader_commit.min(last_new) > rf.commit_index {
            rf.commit_index = args.leader_commit.min(last_new);
            self.apply_cond.notify_all();
        }
        reply.success = true;
        reply
    }

    fn install_snapshot(&self, args: InstallSnapshotArgs) -> InstallSnapshotReply {
        let mut rf = self.mu.lock();
        if args.term < rf.current_term {
            return InstallSnapshotReply { term: rf.current_term };
        }
        rf.become_follower(args.term);
        rf.last_heard = Instant::now();
        let reply = InstallSnapshotReply { term: rf.current_term };
        let index = args.last_included_index;
        if index <= rf.commit_index {
            return reply; // this server has that already, or is about to apply it
        }
        if index <= rf.last_log_index() && rf.term_at(index) == args.last_included_term {
            rf.discard_up_to(index); // the entries after it stay
        } else {
            rf.log = vec![LogEntry { term: args.last_included_term, command: Command::default() }];
            rf.last_included_index = index;
        }
        rf.commit_index = index;
        let state = rf.persistent_state();
        rf.persister.save(&state, args.data);
        self.apply_cond.notify_all();
        reply
    }
}

// Applying.

impl Raft {
    /// The only thread that sends on `apply_ch`, so that messages are sent in log order. It holds the lock while it looks for
    /// something to send, but never while it sends: the service may need the lock first, for a snapshot.
    fn applier(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let mut rf = self.mu.lock();
            while rf.last_applied == rf.commit_index && !self.killed() {
                self.apply_cond.wait(&mut rf);
            }
            if self.killed() {
                return; // the last sender is dropped with this thread
            }
            let messages = rf.next_messages();
            drop(rf);
            for message in messages {
                if apply_ch.send(message).is_err() {
                    return; // the service has ended; Go would block here for ever
                }
            }
        }
    }
}

/// With `rf.mu` held.
impl Locked {
    /// Go's `readPersist`: the state of a server as it starts, perhaps from what it saved before a restart.
    fn read_persist(persister: Persister, peers: usize) -> Locked {
        let saved = persister.raft_state().unwrap_or(PersistentState {
            current_term: 0,
            voted_for: None,
            last_included_index: 0,
            log: vec![LogEntry { term: 0, command: Command::default() }],
        });
        Locked {
            persister,
            current_term: saved.current_term,
            voted_for: saved.voted_for,
            log: saved.log,
            last_included_index: saved.last_included_index,
            // The service reads the snapshot from the persister itself.
            commit_index: saved.last_included_index,
            last_applied: saved.last_included_index,
            next_index: vec![0; peers],
            match_index: vec![0; peers],
            role: Role::Follower,
            last_heard: Instant::now(),
            votes: 0,
        }
    }

    /// Called after each change of what Figure 2 calls persistent, before another server hears of the change. The snapshot stays.
    fn persist(&self) {
        self.persister.save_state(&self.persistent_state());
    }

    fn snapshot(&self) -> Snapshot {
        self.persister.snapshot().expect("a shortened log was saved with its snapshot")
    }

    /// A clone of the state. The bytes of the commands are shared, not cloned.
    fn persistent_state(&self) -> PersistentState {
        PersistentState {
            current_term: self.current_term,
            voted_for: self.voted_for,
            last_included_index: self.last_included_index,
            log: self.log.clone(),
        }
    }

    fn become_follower(&mut self, term: u64) {
        self.role = Role::Follower;
        if term > self.current_term {
            self.current_term = term;
            self.voted_for = None;
            self.persist();
        }
    }

    /// To be called after every RPC, with the lock taken again. Steps down if the reply has a newer term. Returns whether the
    /// role and the term are still those in which the call was made. If not, the reply is too old to count.
    fn still(&mut self, role: Role, term: u64, reply_term: u64) -> bool {
        if reply_term > self.current_term {
            self.become_follower(reply_term);
        }
        self.role == role && self.current_term == term
    }

    fn last_log_index(&self) -> u64 {
        self.last_included_index + self.log.len() as u64 - 1
    }

    fn last_log_term(&self) -> u64 {
        self.term_at(self.last_log_index())
    }

    /// The position in `log` of the entry with this index.
    fn position(&self, index: u64) -> usize {
        (index - self.last_included_index) as usize
    }

    fn term_at(&self, index: u64) -> u64 {
        self.log[self.position(index)].term
    }

    /// The first index of this term after the snapshot. What is in the snapshot agrees with every leader.
    fn first_index_of(&self, term: u64) -> u64 {
        let before = self.log[1..].iter().take_while(|entry| entry.term < term).count();
        self.last_included_index + 1 + before as u64
    }

    /// Discards what the snapshot covers, except the term of its last entry.
    fn discard_up_to(&mut self, index: u64) {
        self.log.drain(..self.position(index));
        self.log[0].command = Command::default();
        self.last_included_index = index;
    }

    /// The leader's `nextIndex` after a refusal. It goes back by a whole term of the follower, not by one entry. The notes of the
    /// Go lab call the cases "log too short", "leader has XTerm" and "leader doesn't have XTerm".
    fn back_up(&self, prev_log_index: u64, reply: &AppendEntriesReply) -> u64 {
        let Some(x_term) = reply.x_term else {
            return reply.x_len;
        };
        let ours = (self.last_included_index..prev_log_index).rev();
        match ours.into_iter().find(|index| self.term_at(*index) == x_term) {
            Some(last_of_x_term) => last_of_x_term + 1,
            None => reply.x_index,
        }
    }

    /// Figure 2, AppendEntries 3 and 4. Entries are removed only if one conflicts: this may be an old message, with
    /// entries that are only the beginning of what the log has.
    fn merge(&mut self, prev_log_index: u64, entries: Vec<LogEntry>) {
        let mut changed = false;
        for (index, entry) in (prev_log_index + 1..).zip(entries) {
            if index <= self.last_log_index() && self.term_at(index) != entry.term {
                self.log.truncate(self.position(index));
            }
            if index > self.last_log_index() {
                self.log.push(entry);
                changed = true;
            }
        }
        if changed {
            self.persist();
        }
    }

    /// What to apply next: a snapshot that has replaced the next entries, or the committed commands.
    fn next_messages(&mut self) -> Vec<ApplyMsg> {
        if self.last_applied < self.last_included_index {
            self.last_applied = self.last_included_index;
            return vec![ApplyMsg::Snapshot {
                index: self.last_included_index,
                term: self.log[0].term,
                snapshot: self.snapshot(),
            }];
        }
        let first = self.last_applied + 1;
        let entries = &self.log[self.position(first)..=self.position(self.commit_index)];
        let messages = (first..).zip(entries).map(|(index, entry)| ApplyMsg::Command {
            index,
            term: entry.term,
            command: entry.command.clone(),
        });
        let messages = messages.collect();
        self.last_applied = self.commit_index;
        messages
    }
}

fn main() -> ExitCode {
    labtests::cli::main(Raft::make)
}
