//! A Raft in the shape that Go solutions of the lab have, for those who port one: a mutex around everything, a
//! ticker, an applier, a thread per RPC. It knows the lab only through `labrpc`, and runs on it with
//!
//! ```text
//! cargo run --release -p labtests --example go_shape -- --seeds 20
//! ```
//!
//! Go's names, in snake_case. What the idioms have become:
//!
//! | Go | here |
//! |---|---|
//! | `rf.mu.Lock(); defer rf.mu.Unlock()` | `let mut rf = self.mu.lock();`: what the mutex guards is inside it, and the guard unlocks at the end of its scope (earlier: `drop(rf)` or a block) |
//! | a method "with rf.mu held" | a method of [`Locked`], which nobody has without the lock; or it takes `rf: &mut Locked` |
//! | `go rf.f(x)`, `go func() {..}()` | `self.go(move \|raft\| raft.f(x))`, which is `thread::spawn` |
//! | `time.Sleep`, `time.Now`, `rand` | `time::sleep`, `Instant::now`, `labrpc::rand::rng()`: never std's, so that a seed replays the run |
//! | `sync.NewCond(&rf.mu)`, `cond.Wait()` | `Condvar`, `cond.wait(&mut rf)`: it learns of the lock when it waits |
//! | `rf.killed()` with `atomic.LoadInt32` | the same, with an `AtomicBool` |
//! | `ok := peer.Call("Raft.F", &args, &reply)` | `let Some(reply) = peer.call("Raft.F", &args) else ..` |
//! | `labgob` encode, `persister.Save` | `persister.save_state(&..)`, `persister.save(&.., snapshot)` |
//! | `applyCh <- msg` | `apply_ch.send(msg)`, an error once nobody can receive any more |
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

/// How long the ticker sleeps, in milliseconds: several heartbeats, so that a lost one makes no candidate, and far
/// enough apart that two candidates seldom meet; yet two of them fit well into the five seconds that the lab allows.
const ELECTION_TIMEOUT_MS: Range<u64> = 400..800;

/// What Go calls `Raft`. The fields that Go's mutex guards are in [`Locked`], the others never change.
pub struct Raft {
    mu: Mutex<Locked>,
    /// "There is something to apply."
    apply_cond: Condvar,
    peers: Vec<ClientEnd>,
    me: usize,
    dead: AtomicBool,
    /// A goroutine keeps `rf` alive by using it. A thread has to own what it uses, an `Arc<Raft>`, and a method has
    /// but `&self`: this is where [`go`](Raft::go) gets one.
    this: Weak<Raft>,
}

/// What `rf.mu` guards. Indices of the log count from 1, as the paper's.
struct Locked {
    persister: Persister,
    // Figure 2, persistent.
    current_term: u64,
    voted_for: Option<usize>, // -1 in Go
    /// What follows the snapshot. `log[0]` stands for the last entry within it, of which only the term is left;
    /// before the first snapshot that is an entry of index 0 and term 0, which everybody has.
    log: Vec<LogEntry>,
    /// The index of `log[0]`.
    last_included_index: u64,
    // Figure 2, volatile.
    commit_index: u64,
    last_applied: u64,
    next_index: Vec<u64>,
    match_index: Vec<u64>,
    role: Role,
    /// When a leader was last heard, or a vote given.
    last_heard: Instant,
    /// How many votes we have as a candidate. In Go often a variable that the closures of an election share.
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

/// What Go encodes field by field, in an order that encoder and decoder have to agree on.
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
    /// The term of the follower's entry at prev_log_index; none (in Go -1) if its log is too short.
    x_term: Option<u64>,
    /// The index of the follower's first entry of that term.
    x_index: u64,
    /// How long the follower's log is, counting index 0.
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

// Making, asking and killing a Raft.

impl Raft {
    /// Go's `Make`. The RPC handlers are not found by reflection: the [`Service`] names them.
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
        // Threads that live as long as the server get a name, which reports show.
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

    /// `go func() {..}()`
    fn go(&self, body: impl FnOnce(&Raft) + Send + 'static) {
        let raft = self.this.upgrade().expect("who calls a method has the Raft");
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
        self.broadcast(term); // and not only with the next heartbeat
        self.advance_commit_index(&mut rf); // a server alone
        Ok(Started { index: rf.last_log_index(), term })
    }

    fn get_state(&self) -> (u64, bool) {
        let rf = self.mu.lock();
        (rf.current_term, rf.role == Role::Leader)
    }

    /// The service calls it from the thread that reads the apply channel, so whoever sends on that channel must not
    /// hold the lock that is taken here.
    fn snapshot(&self, index: u64, snapshot: Snapshot) {
        let mut rf = self.mu.lock();
        if index <= rf.last_included_index || index > rf.last_applied {
            return;
        }
        rf.discard_up_to(index);
        let state = rf.persistent_state();
        rf.persister.save(&state, snapshot);
    }

    /// A mere flag, as in Go. Every loop looks at it: the ticker and the heartbeats when they have slept, the applier
    /// when the ticker wakes it for the last time, a thread of an RPC when the network has given up its call.
    fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }
}

// Elections.

impl Raft {
    /// Starts an election if nobody was heard while it slept.
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
        // The applier may wait for a commit that doesn't come any more. With the lock held it is either waiting or
        // will look at the flag first: no wake-up is lost.
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
            let args = args.clone(); // a closure of Go would share it; this one is moved into its thread
            self.go(move |raft| raft.ask_for_vote(server, &args));
        }
        self.lead_if_elected(rf); // a server alone
    }

    /// A thread of its own for each vote: the call may take seconds, and waits without the lock.
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
    /// A thread for each leadership. It ends with it.
    fn heartbeats(&self, term: u64) {
        while !self.killed() {
            let rf = self.mu.lock();
            if rf.role != Role::Leader || rf.current_term != term {
                return;
            }
            self.broadcast(term);
            drop(rf); // sleep with the lock, and nobody hears a heartbeat
            sleep(HEARTBEAT);
        }
    }

    /// To each peer what it lacks, in a thread of its own. If it lacks nothing that is a heartbeat.
    fn broadcast(&self, term: u64) {
        for server in self.others() {
            self.go(move |raft| raft.replicate(server, term));
        }
    }

    /// Sends to one peer, and again at once as long as that makes progress.
    fn replicate(&self, server: usize, term: u64) {
        loop {
            let rf = self.mu.lock();
            if rf.role != Role::Leader || rf.current_term != term {
                return; // what we send is of the term that we were elected in
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
            // What the follower has is what was sent, not what we have by now. Replies overtake one another.
            let matches = args.prev_log_index + args.entries.len() as u64;
            if matches > rf.match_index[server] {
                rf.match_index[server] = matches;
                rf.next_index[server] = matches + 1;
                self.advance_commit_index(&mut rf);
            }
            return false;
        }
        // Another reply may have moved next_index since: then this one is old.
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

    /// If a majority has an entry of our own term, that is committed, and everything before it. Entries of older
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
        // What our snapshot covers is committed, so it is the same there and here.
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
        // Up to what this message has vouched for; behind it our log may differ from the leader's.
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
            return reply; // we have that, or are about to apply it
        }
        if index <= rf.last_log_index() && rf.term_at(index) == args.last_included_term {
            rf.discard_up_to(index); // what follows it stays
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
    /// The only thread that sends on `apply_ch`, and so in the order of the log. It holds the lock while it looks for
    /// something to send, never while it sends: the service may first want the lock, for a snapshot.
    fn applier(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let mut rf = self.mu.lock();
            while rf.last_applied == rf.commit_index && !self.killed() {
                self.apply_cond.wait(&mut rf);
            }
            if self.killed() {
                return; // and with us goes the last sender
            }
            let messages = rf.next_messages();
            drop(rf);
            for message in messages {
                if apply_ch.send(message).is_err() {
                    return; // the service is gone; Go would block here for ever
                }
            }
        }
    }
}

/// With `rf.mu` held.
impl Locked {
    /// Go's `readPersist`: a server as it starts, perhaps from what an earlier life has saved.
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
            // The service reads the snapshot from the persister for itself.
            commit_index: saved.last_included_index,
            last_applied: saved.last_included_index,
            next_index: vec![0; peers],
            match_index: vec![0; peers],
            role: Role::Follower,
            last_heard: Instant::now(),
            votes: 0,
        }
    }

    /// After each change of what Figure 2 calls persistent, before anybody hears of it. The snapshot stays.
    fn persist(&self) {
        self.persister.save_state(&self.persistent_state());
    }

    fn snapshot(&self) -> Snapshot {
        self.persister.snapshot().expect("a log that has been cut was saved with its snapshot")
    }

    /// A clone, though not of the commands' bytes: those are shared.
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

    /// What to ask after every call, with the lock taken again: a newer term deposes us; and is this still the role
    /// and the term in which we called? If not, the reply is one from the past.
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

    /// Where the entry of that index is in `log`.
    fn position(&self, index: u64) -> usize {
        (index - self.last_included_index) as usize
    }

    fn term_at(&self, index: u64) -> u64 {
        self.log[self.position(index)].term
    }

    /// The first index of that term, of those behind the snapshot: what is in it agrees with every leader.
    fn first_index_of(&self, term: u64) -> u64 {
        let before = self.log[1..].iter().take_while(|entry| entry.term < term).count();
        self.last_included_index + 1 + before as u64
    }

    /// What the snapshot covers goes, except the term of its last entry.
    fn discard_up_to(&mut self, index: u64) {
        self.log.drain(..self.position(index));
        self.log[0].command = Command::default();
        self.last_included_index = index;
    }

    /// The leader's `nextIndex` after a refusal: past a whole term of the follower's, not an entry. Go's notes call
    /// the cases "log too short", "leader has XTerm" and "leader doesn't have XTerm".
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

    /// Figure 2, AppendEntries 3 and 4. Only an entry that conflicts cuts the log: this may be an old message, whose
    /// entries are but the beginning of what we have.
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

    /// A snapshot that has replaced what was to be applied, or the committed commands.
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
