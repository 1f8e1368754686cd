//! Raft, as in the extended paper ("In Search of an Understandable Consensus Algorithm").
//!
//! Read it with Figure 2 open:
//!
//! | box | file |
//! |---|---|
//! | State | [`state`], [`log`](mod@log), [`persist`] |
//! | Rules for Servers | [`rules`]; [`messages`] decides which message goes to which server |
//! | RequestVote RPC | [`request_vote`] |
//! | AppendEntries RPC | [`append_entries`] |
//! | InstallSnapshot RPC (Figure 13) | [`install_snapshot`] |
//!
//! All of these are methods of [`State`], and none of them can wait. [`threads`] decides when they run, [`calls`] carries their
//! messages, and this file has what other code calls. [`options`] has the numbers that the paper leaves open.
//!
//! What the lab does not ask for is in a module of its own, [`beyond`]. [`beyond::hooks`] lists where the lab's Raft meets it: methods
//! whose names begin with `beyond_`, and fields that are marked "Beyond the lab". A reader of 2A to 2D may skip all of these.

pub mod append_entries;
pub mod beyond;
pub mod calls;
pub mod install_snapshot;
#[cfg(debug_assertions)]
mod invariants;
pub mod log;
pub mod messages;
pub mod options;
pub mod persist;
pub mod request_vote;
pub mod rules;
pub mod state;
#[cfg(test)]
mod tests;
pub mod threads;

use labrpc::api::beyond::{Membership, Reads, Transfer};
use labrpc::api::kv::Served;
use labrpc::api::{ApplyMsg, Command, Inspection, Refused, Snapshot, Started};
use labrpc::channel::{self, Receiver, Sender};
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::JoinHandle;
use labrpc::time::Instant;
use labrpc::{ClientEnd, Persister, Service};
use log::Members;
pub use options::{InvalidOption, Options};
use state::State;
use threads::Shared;

/// A Raft server.
pub struct Raft {
    shared: Arc<Shared>,
    /// Beyond the lab: through these, a follower asks its leader for an index to read at.
    peers: Vec<ClientEnd>,
    killed: Receiver<()>,
    /// What `kill` stops and joins.
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Dropping this wakes every thread that waits for a reply or for the service.
    alive: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Raft {
    /// Makes a server, from its saved state if there is one, and starts it. Returns at once.
    ///
    /// `peers` are the ends of all servers, and `peers[me]` is our own. Committed entries go out on `apply_ch`. The returned
    /// services handle the RPCs of the other servers; the caller has to register them.
    pub fn make(
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<Raft>, Vec<Service>) {
        Raft::make_with(Options::default(), peers, me, persister, apply_ch)
    }

    /// Like [`Raft::make`], with these options.
    ///
    /// # Panics
    /// If an option is invalid ([`Options::validate`]).
    pub fn make_with(
        options: Options,
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<Raft>, Vec<Service>) {
        let state = State::new(me, peers.len(), persister, options, Instant::now());
        let shared = Arc::new(Shared::new(state));
        let (alive, killed) = channel::bounded(0);
        let threads = shared.run(peers.clone(), apply_ch, &killed);
        let service = Raft::service(&shared);
        let running = Mutex::new(Some(Running { alive, threads }));
        (Arc::new(Raft { shared, peers, killed, running }), vec![service])
    }

    /// A constructor that calls [`Raft::make_with`] with these options.
    pub fn with(
        options: Options,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> Served<Raft> + Clone {
        move |peers, me, persister, apply_ch| {
            Raft::make_with(options.clone(), peers, me, persister, apply_ch)
        }
    }

    /// Like [`Raft::with`], but the last argument of the constructor is the set of initial members.
    pub fn with_members(
        options: Options,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, Members) -> Served<Raft> + Clone
    {
        move |peers, me, persister, apply_ch, members| {
            let options = Options { members: Some(members), ..options.clone() };
            Raft::make_with(options, peers, me, persister, apply_ch)
        }
    }

    /// The RPCs. Each handler takes the lock, and replies after it has released the lock.
    fn service(shared: &Arc<Shared>) -> Service {
        let [vote, append, install] = [(); 3].map(|()| shared.clone());
        let service = Service::new("Raft")
            .method("RequestVote", move |args| {
                vote.lock().handle_request_vote(&args, Instant::now())
            })
            .method("AppendEntries", move |args| beyond::flow::append_in_order(&append, args))
            .method("InstallSnapshot", move |args| {
                install.lock().handle_install_snapshot(args, Instant::now())
            });
        beyond::add_methods(service, shared)
    }
}

impl labrpc::api::Raft for Raft {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        self.shared.lock().start(command)
    }

    fn get_state(&self) -> (u64, bool) {
        let state = self.shared.lock();
        (state.current_term, state.is_leader())
    }

    fn snapshot(&self, index: u64, snapshot: Snapshot) {
        self.shared.lock().snapshot(index, snapshot);
    }

    fn kill(&self) {
        self.shared.lock().killed = true;
        let mut running = self.running.lock(); // a second caller waits here until the first is done
        let Some(Running { alive, threads }) = running.take() else { return };
        drop(alive);
        for thread in threads {
            // A panic in a thread has been reported where it happened.
            let _ = thread.join();
        }
    }

    fn inspect(&self) -> Option<Inspection> {
        let state = self.shared.lock();
        Some(Inspection {
            voted_for: state.voted_for,
            commit_index: Some(state.commit_index),
            last_applied: Some(state.last_applied),
            last_log_index: Some(state.log.last_index()),
        })
    }

    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }

    fn transfers(&self) -> Option<&dyn Transfer> {
        Some(self)
    }

    fn membership(&self) -> Option<&dyn Membership> {
        Some(self)
    }
}

impl Drop for Raft {
    fn drop(&mut self) {
        labrpc::api::Raft::kill(self);
    }
}
