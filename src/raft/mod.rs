//! Raft, as the extended paper has it ("In Search of an Understandable Consensus Algorithm").
//!
//! Read it with Figure 2 open:
//!
//! | box | file |
//! |---|---|
//! | State | [`state`], [`log`](mod@log), [`persist`] |
//! | Rules for Servers | [`rules`] |
//! | RequestVote RPC | [`request_vote`] |
//! | AppendEntries RPC | [`append_entries`] |
//! | InstallSnapshot RPC (Figure 13) | [`install_snapshot`] |
//!
//! Then, if you like, what the lab doesn't ask for, with Ongaro's thesis beside you; all of it can be switched off
//! ([`options`]), or isn't there until it is called:
//!
//! | section | file |
//! |---|---|
//! | 4: cluster membership changes | [`membership`], [`catch_up`] |
//! | 6.2: routing requests to the leader; 4.2.3: disruptive servers | [`check_quorum`] |
//! | 6.4: processing read-only queries more efficiently | [`read_index`] |
//! | 9.6: preventing disruptions when a server rejoins the cluster | [`pre_vote`] |
//! | 3.10: leadership transfer extension | [`transfer`] |
//! | 10.2: implementing batching and pipelining | [`flow`] |
//!
//! All of that is `impl State` and can't wait. [`threads`] decides when it runs, [`calls`] carries its messages; this file is what
//! others call.

pub mod append_entries;
pub mod calls;
pub mod catch_up;
pub mod check_quorum;
pub mod flow;
pub mod install_snapshot;
#[cfg(debug_assertions)]
mod invariants;
pub mod log;
pub mod membership;
pub mod options;
pub mod persist;
pub mod pre_vote;
pub mod read_index;
pub mod request_vote;
pub mod rules;
pub mod state;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod transfer;
pub mod validate;

use append_entries::{AppendEntriesArgs, AppendEntriesReply};
use labrpc::api::beyond::{Membership, NotChanged, NotTransferred, Reads, Transfer};
use labrpc::api::kv::Served;
use labrpc::api::{ApplyMsg, Command, Inspection, Refused, Snapshot, Started};
use labrpc::channel::{self, Receiver, Sender};
use labrpc::sync::{Arc, Mutex};
use labrpc::thread::JoinHandle;
use labrpc::time::Instant;
use labrpc::{ClientEnd, Persister, Service};
use membership::{Members, Wish};
pub use options::{InvalidOption, Options};
use read_index::{ReadIndexArgs, ReadIndexReply};
use state::State;
use std::ops::ControlFlow::{Break, Continue};
use threads::Shared;

/// A Raft server.
pub struct Raft {
    shared: Arc<Shared>,
    /// Followers ask their leader where to read.
    peers: Vec<ClientEnd>,
    killed: Receiver<()>,
    /// What `kill` stops and joins.
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Dropped, it wakes who waits for a reply or for the service.
    alive: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Raft {
    /// Makes a server, perhaps from what an earlier life has saved, and starts it; returns at once.
    ///
    /// `peers` are the ends of all servers, `peers[me]` our own; what is committed goes out on `apply_ch`. Register the
    /// services for the RPCs of the other servers.
    pub fn make(
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<Raft>, Vec<Service>) {
        Raft::make_with(Options::default(), peers, me, persister, apply_ch)
    }

    /// As [`Raft::make`], with other timeouts.
    ///
    /// # Panics
    /// If an option cannot be right ([`Options::validate`]).
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

    /// [`Raft::make_with`] these options, as a constructor.
    pub fn with(
        options: Options,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>) -> Served<Raft> + Clone {
        move |peers, me, persister, apply_ch| {
            Raft::make_with(options.clone(), peers, me, persister, apply_ch)
        }
    }

    /// The same for a cluster of which the last argument tells the first members.
    pub fn with_members(
        options: Options,
    ) -> impl Fn(Vec<ClientEnd>, usize, Persister, Sender<ApplyMsg>, Members) -> Served<Raft> + Clone
    {
        move |peers, me, persister, apply_ch, members| {
            let options = Options { members: Some(members), ..options.clone() };
            Raft::make_with(options, peers, me, persister, apply_ch)
        }
    }

    /// The RPCs. Each takes the lock, and replies after it is released.
    fn service(shared: &Arc<Shared>) -> Service {
        let [vote, append, install] = [(); 3].map(|()| shared.clone());
        let [would_vote, stand, read] = [(); 3].map(|()| shared.clone());
        Service::new("Raft")
            .method("RequestVote", move |args| {
                vote.lock().handle_request_vote(&args, Instant::now())
            })
            .method("AppendEntries", move |args| Raft::append_entries(&append, args))
            .method("InstallSnapshot", move |args| {
                install.lock().handle_install_snapshot(args, Instant::now())
            })
            .method("PreVote", move |args| would_vote.lock().handle_pre_vote(&args, Instant::now()))
            .method("TimeoutNow", move |args| {
                stand.lock().handle_timeout_now(&args, Instant::now())
            })
            .method("ReadIndex", move |_: ReadIndexArgs| {
                let index = Raft::read_here(&read).ok();
                ReadIndexReply { term: read.lock().current_term, index }
            })
    }

    /// Entries that have overtaken those that they follow wait a moment for them.
    fn append_entries(shared: &Shared, args: AppendEntriesArgs) -> AppendEntriesReply {
        let (mut args, came) = (Some(args), Instant::now());
        shared.until(|state, now| {
            match args.take_if(|args| !state.wait_for_earlier(args, came, now)) {
                Some(args) => Break(state.handle_append_entries(args, now)),
                None => Continue(Some(came + state.options.overtaking)),
            }
        })
    }

    /// An index to read at, if this server leads.
    fn read_here(shared: &Shared) -> Result<u64, Refused> {
        let mut read = shared.lock().begin_read(Instant::now());
        shared.until(|state, now| state.read(&mut read, now))
    }

    /// The same from `leader`.
    fn read_at(&self, leader: usize) -> Result<u64, Refused> {
        let (args, timeout) = {
            let state = self.shared.lock();
            if state.leader() != Some(leader) {
                return Err(Refused::NotLeader { leader: state.leader() });
            }
            (ReadIndexArgs { term: state.current_term }, state.options.election_timeout.end)
        };
        let end = &self.peers[leader];
        let reply = calls::ask(end, "Raft.ReadIndex", &args, timeout, &self.killed);
        let index = reply.and_then(|reply: ReadIndexReply| reply.index);
        let index = index.filter(|index| *index <= validate::HIGHEST);
        index.ok_or_else(|| match self.shared.lock().killed {
            true => Refused::Stopped,
            false => Refused::NotLeader { leader: None },
        })
    }

    fn change(&self, wish: Wish) -> Result<(), NotChanged> {
        let mut changing = self.shared.lock().begin_change(wish, Instant::now())?;
        self.shared.until(|state, now| state.change(&mut changing, now))
    }
}

impl Reads for Raft {
    fn read_index(&self) -> Result<u64, Refused> {
        match Raft::read_here(&self.shared) {
            Err(Refused::NotLeader { leader: Some(leader) }) => self.read_at(leader),
            result => result,
        }
    }
}

impl Transfer for Raft {
    fn transfer(&self, to: usize) -> Result<(), NotTransferred> {
        let handover = self.shared.lock().begin_transfer(to, Instant::now())?;
        self.shared.until(|state, now| state.transfer(&handover, now))
    }
}

impl Membership for Raft {
    fn add_server(&self, server: usize) -> Result<(), NotChanged> {
        self.change(Wish::Add(server))
    }

    fn remove_server(&self, server: usize) -> Result<(), NotChanged> {
        self.change(Wish::Remove(server))
    }

    fn members(&self) -> Members {
        self.shared.lock().log.members().clone()
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
        let mut running = self.running.lock(); // where a second caller waits until the first is done
        let Some(Running { alive, threads }) = running.take() else { return };
        drop(alive);
        for thread in threads {
            // A panic in there has been reported where it happened.
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
