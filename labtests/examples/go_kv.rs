//! The lab's second half in the shape of Go solutions, for readers who port one: the key/value store of 2022 (`kvraft`), and the
//! replicated state machine of 2025 with its store (`kvraft1`). They run on the Raft of [`go_shape`]. The page of [`go_shape`]
//! says what most of Go's idioms have become. Run the lab's tests on it with
//!
//! ```text
//! cargo run --release -p labtests --example go_kv -- 3A 3B 4A 4B 4C
//! ```
//!
//! The names are Go's names in snake_case. These idioms are new here:
//!
//! | Go | here |
//! |---|---|
//! | `kv.rf = raft.Make(servers, me, persister, kv.applyCh)` | the same; the RPC services of the Raft are handed to the lab together with those of the store |
//! | `labgob.Register(Op{})`, `msg.Command.(Op)` | `codec::encode(&op)`, `codec::decode(&command)`: a command is bytes |
//! | `for msg := range applyCh` | `for msg in apply_ch.iter()`: ends when a killed Raft drops its sender |
//! | `map[int]chan Result` | `BTreeMap<u64, Sender<Result>>`; never a `HashMap`, whose order differs from run to run |
//! | `ch := make(chan T, 1)` | `channel::bounded(1)` |
//! | `select { case r := <-ch: .. case <-time.After(d): .. }` | `ch.recv_timeout(d)` |
//! | `close(ch)`, and `r, ok := <-ch` | dropping the sender, and `Err(Disconnected)` |
//! | `nrand()` | `labrpc::rand::rng().random()` |
//! | `reply.Err = ErrWrongLeader; return` | returns the reply; an enum for the strings |
//! | `maxraftstate == -1` | `None` |

#[path = "go_shape.rs"]
#[allow(dead_code, reason = "its main is for the example of that name")]
mod go_shape;

use go_shape::Raft;
use labrpc::api::kv::{PutError, Replica, Replicated, StateMachine};
use labrpc::api::{ApplyMsg, Raft as _, Refused, Started};
use labrpc::channel::{self, Receiver, RecvTimeoutError, Sender};
use labrpc::sync::{Arc, Mutex};
use labrpc::time::{Duration, sleep};
use labrpc::{ClientEnd, Persister, Service, codec, thread};
use labtests::cli::Program;
use labtests::lab::Lab;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// How long a clerk waits before it asks the next server: during an election there is no leader to find.
const PAUSE: Duration = Duration::from_millis(10);

/// The store of 2022: Get, Put and Append, each applied exactly once.
pub mod kvraft {
    use super::*;

    /// How long a handler waits for its operation. A leader that was cut off never sees it committed.
    const TIMEOUT: Duration = Duration::from_millis(500);

    /// What RPCs carry (in Go: `GetArgs`, `PutAppendArgs`), and what goes through the log. A Get goes through the log, too:
    /// otherwise a server that was deposed and doesn't know it would answer with an old value.
    #[derive(Serialize, Deserialize)]
    struct Op {
        kind: Kind,
        key: String,
        value: String,
        client_id: u64,
        seq: u64,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    enum Kind {
        Get,
        Put,
        Append,
    }

    #[derive(Clone, Serialize, Deserialize)]
    struct Reply {
        err: Errno,
        value: String,
    }

    /// Go's `type Err string`.
    #[derive(Clone, Copy, Serialize, Deserialize)]
    enum Errno {
        Ok,
        NoKey,
        WrongLeader,
        Timeout,
    }

    /// Go's `KVServer`.
    pub struct KvServer {
        mu: Mutex<Locked>,
        rf: Arc<Raft>,
        persister: Persister,
        max_raft_state: Option<usize>,
    }

    /// What `kv.mu` guards.
    struct Locked {
        state: State,
        /// The handlers that wait for the operation at an index. In Go, a handler compares the operation that came with its own;
        /// here the applier does.
        notify: BTreeMap<u64, Waiter>,
    }

    /// What a snapshot holds: the store, and the last reply to each client: otherwise a restarted server would apply a retry twice.
    #[derive(Default, Serialize, Deserialize)]
    struct State {
        db: BTreeMap<String, String>,
        last_reply: BTreeMap<u64, (u64, Reply)>,
    }

    struct Waiter {
        client_id: u64,
        seq: u64,
        ch: Sender<Reply>,
    }

    impl KvServer {
        /// Go's `StartKVServer`.
        pub fn make(
            servers: Vec<ClientEnd>,
            me: usize,
            persister: Persister,
            max_raft_state: Option<usize>,
        ) -> (Arc<KvServer>, Vec<Service>) {
            let snapshot = persister.snapshot();
            let state = snapshot.map_or_else(State::default, |bytes| State::read(&bytes));
            let (apply_tx, apply_ch) = channel::bounded(0); // make(chan raft.ApplyMsg)
            let (rf, mut services) = Raft::make(servers, me, persister.clone(), apply_tx);
            let mu = Mutex::new(Locked { state, notify: BTreeMap::new() });
            let kv = Arc::new(KvServer { mu, rf, persister, max_raft_state });
            let applier = kv.clone();
            let apply = move || applier.applier(&apply_ch);
            thread::Builder::new().name("kv applier").spawn(apply).expect("a thread");
            let (get, put_append) = (kv.clone(), kv.clone());
            let service = Service::new("KVServer")
                .method("Get", move |op| get.execute(&op))
                .method("PutAppend", move |op| put_append.execute(&op));
            services.push(service);
            (kv, services)
        }

        /// Puts an operation into the log and waits for it to come out.
        fn execute(&self, op: &Op) -> Reply {
            let mut kv = self.mu.lock();
            if let Some(reply) = kv.state.reply_to(op) {
                return reply; // it need not go through the log a second time
            }
            let Ok(started) = self.rf.start(codec::encode(op).into()) else {
                return Reply::err(Errno::WrongLeader);
            };
            // The lock was taken before Start, so the applier can't come first. The channel has a buffer so that the applier never
            // waits for a handler. An earlier handler that waits at this index has lost its entry, and finds its channel closed.
            let (ch, reply_ch) = channel::bounded(1);
            kv.notify.insert(started.index, Waiter { client_id: op.client_id, seq: op.seq, ch });
            drop(kv); // if it waited with the lock, nothing would ever be applied
            match reply_ch.recv_timeout(TIMEOUT) {
                Ok(reply) => reply,
                Err(RecvTimeoutError::Disconnected) => Reply::err(Errno::WrongLeader),
                Err(RecvTimeoutError::Timeout) => {
                    let mut kv = self.mu.lock();
                    if kv.notify.get(&started.index).is_some_and(|waiter| waiter.is_for(op)) {
                        kv.notify.remove(&started.index);
                    }
                    Reply::err(Errno::Timeout)
                }
            }
        }

        /// Ends when Raft closes the channel.
        fn applier(&self, apply_ch: &Receiver<ApplyMsg>) {
            for msg in apply_ch.iter() {
                let mut kv = self.mu.lock();
                match msg {
                    ApplyMsg::Command { index, command, .. } => {
                        kv.apply(index, codec::decode(&command).expect("an Op"));
                        let size = self.persister.raft_state_size();
                        if self.max_raft_state.is_some_and(|max| size >= max) {
                            self.rf.snapshot(index, codec::encode(&kv.state).into());
                        }
                    }
                    ApplyMsg::Snapshot { snapshot, .. } => kv.state = State::read(&snapshot),
                    _ => {}
                }
            }
        }
    }

    impl Replica for KvServer {
        fn raft(&self) -> Arc<dyn labrpc::api::Raft> {
            self.rf.clone()
        }

        /// No other thread needs waking: handlers time out, and the applier's channel will be closed.
        fn kill(&self) {
            self.rf.kill();
        }
    }

    /// With `kv.mu` held.
    impl Locked {
        fn apply(&mut self, index: u64, op: Op) {
            let waiter = self.notify.remove(&index).filter(|waiter| waiter.is_for(&op));
            let reply = self.state.apply(op);
            if let Some(waiter) = waiter {
                let _ = waiter.ch.send(reply);
            }
        }
    }

    impl Waiter {
        fn is_for(&self, op: &Op) -> bool {
            (self.client_id, self.seq) == (op.client_id, op.seq)
        }
    }

    impl State {
        fn read(bytes: &[u8]) -> State {
            codec::decode(bytes).expect("a snapshot of ours")
        }

        /// The last reply to the client, if `op` is its last request or an older one, whose answer nobody needs.
        fn reply_to(&self, op: &Op) -> Option<Reply> {
            let (last, reply) = self.last_reply.get(&op.client_id)?;
            (op.seq <= *last).then(|| reply.clone())
        }

        /// Applies an operation that was not applied before.
        fn apply(&mut self, op: Op) -> Reply {
            if let Some(reply) = self.reply_to(&op) {
                return reply;
            }
            let mut reply = Reply::err(Errno::Ok);
            match (op.kind, self.db.get(&op.key)) {
                (Kind::Get, Some(value)) => reply.value.clone_from(value),
                (Kind::Get, None) => reply.err = Errno::NoKey,
                (Kind::Put, _) => _ = self.db.insert(op.key, op.value),
                (Kind::Append, _) => self.db.entry(op.key).or_default().push_str(&op.value),
            }
            self.last_reply.insert(op.client_id, (op.seq, reply.clone()));
            reply
        }
    }

    impl Reply {
        fn err(err: Errno) -> Reply {
            Reply { err, value: String::new() }
        }
    }

    /// A client. It asks the servers in turn, beginning with the one that answered last.
    pub struct Clerk {
        servers: Vec<ClientEnd>,
        leader: usize,
        client_id: u64,
        seq: u64,
    }

    impl Clerk {
        /// Go's `MakeClerk`.
        pub fn make(servers: Vec<ClientEnd>) -> Clerk {
            Clerk { servers, leader: 0, client_id: labrpc::rand::rng().random(), seq: 0 }
        }

        /// All tries have the same number, so that servers recognize them as one request.
        fn ask(&mut self, method: &'static str, kind: Kind, key: &str, value: &str) -> String {
            self.seq += 1;
            let (key, value) = (key.to_string(), value.to_string());
            let op = Op { kind, key, value, client_id: self.client_id, seq: self.seq };
            loop {
                match self.servers[self.leader].call(method, &op) {
                    Some(Reply { err: Errno::Ok | Errno::NoKey, value }) => return value,
                    _ => self.leader = (self.leader + 1) % self.servers.len(),
                }
                sleep(PAUSE);
            }
        }
    }

    impl labrpc::api::kv::Clerk for Clerk {
        fn get(&mut self, key: &str) -> String {
            self.ask("KVServer.Get", Kind::Get, key, "")
        }

        fn put(&mut self, key: &str, value: &str) {
            self.ask("KVServer.PutAppend", Kind::Put, key, value);
        }

        fn append(&mut self, key: &str, value: &str) {
            self.ask("KVServer.PutAppend", Kind::Append, key, value);
        }
    }
}

/// The services of 2025: a replicated state machine, and a store on it whose values have versions.
pub mod kvraft1 {
    use super::*;

    /// How often a waiting `submit` checks whether its Raft still leads.
    const POLL: Duration = Duration::from_millis(50);

    /// Go's `RSM`. In Go, `StateMachine` is an interface (`DoOp`, `Snapshot`, `Restore`); here it is a type parameter.
    pub struct Rsm<M: StateMachine> {
        mu: Mutex<Locked<M>>,
        me: usize,
        rf: Arc<Raft>,
        persister: Persister,
        max_raft_state: Option<usize>,
    }

    /// What `rsm.mu` guards.
    struct Locked<M: StateMachine> {
        sm: M,
        /// The calls that wait for the operation at an index. It is `None` when no operation will come any more.
        pending: Option<BTreeMap<u64, Waiter<M::Output>>>,
        next_id: u64,
    }

    struct Waiter<Output> {
        id: u64,
        ch: Sender<Output>,
    }

    /// What goes through the log. `Req` is `any` in Go. No other operation has the same (me, id).
    #[derive(Serialize, Deserialize)]
    struct Op<Req> {
        me: usize,
        id: u64,
        req: Req,
    }

    impl<M: StateMachine> Rsm<M> {
        /// Go's `MakeRSM`.
        pub fn make(
            servers: Vec<ClientEnd>,
            me: usize,
            persister: Persister,
            max_raft_state: Option<usize>,
            mut sm: M,
        ) -> (Arc<Rsm<M>>, Vec<Service>) {
            if let Some(snapshot) = persister.snapshot() {
                sm.restore(&snapshot);
            }
            let (apply_tx, apply_ch) = channel::bounded(0);
            let (rf, services) = Raft::make(servers, me, persister.clone(), apply_tx);
            // Not from 0: the log may hold operations from before a restart of this server.
            let next_id = labrpc::rand::rng().random();
            let mu = Mutex::new(Locked { sm, pending: Some(BTreeMap::new()), next_id });
            let rsm = Arc::new(Rsm { mu, me, rf, persister, max_raft_state });
            let reader = rsm.clone();
            let read = move || reader.reader(&apply_ch);
            thread::Builder::new().name("rsm reader").spawn(read).expect("a thread");
            (rsm, services)
        }

        /// Ends when Raft closes the channel. Then all waiting calls end, too.
        fn reader(&self, apply_ch: &Receiver<ApplyMsg>) {
            for msg in apply_ch.iter() {
                let mut rsm = self.mu.lock();
                match msg {
                    ApplyMsg::Command { index, command, .. } => {
                        rsm.apply(self.me, index, codec::decode(&command).expect("an Op"));
                        let size = self.persister.raft_state_size();
                        if self.max_raft_state.is_some_and(|max| size >= max) {
                            self.rf.snapshot(index, rsm.sm.snapshot().into());
                        }
                    }
                    ApplyMsg::Snapshot { snapshot, .. } => rsm.sm.restore(&snapshot),
                    _ => {}
                }
            }
            self.mu.lock().pending = None;
        }
    }

    impl<M: StateMachine> Replicated<M> for Rsm<M> {
        /// Go returns `(rpc.Err, any)`.
        fn submit(&self, req: M::Op) -> Result<M::Output, Refused> {
            let mut rsm = self.mu.lock();
            let id = rsm.next_id;
            rsm.next_id = id.wrapping_add(1);
            let Some(pending) = &mut rsm.pending else { return Err(Refused::Stopped) };
            let op = codec::encode(&Op { me: self.me, id, req });
            let Started { index, term } = self.rf.start(op.into())?;
            let (ch, output_ch) = channel::bounded(1);
            pending.insert(index, Waiter { id, ch });
            drop(rsm);
            loop {
                match output_ch.recv_timeout(POLL) {
                    Ok(output) => return Ok(output),
                    Err(RecvTimeoutError::Timeout) if self.rf.get_state() == (term, true) => {}
                    Err(_) => return Err(Refused::Deposed), // it may yet be carried out
                }
            }
        }
    }

    impl<M: StateMachine> Replica for Rsm<M> {
        fn raft(&self) -> Arc<dyn labrpc::api::Raft> {
            self.rf.clone()
        }

        fn kill(&self) {
            self.rf.kill();
        }
    }

    /// With `rsm.mu` held.
    impl<M: StateMachine> Locked<M> {
        fn apply(&mut self, me: usize, index: u64, op: Op<M::Op>) {
            let output = self.sm.apply(op.req);
            let pending = self.pending.as_mut().expect("only the reader sets it to None");
            if let Some(waiter) = pending.remove(&index)
                && (me, waiter.id) == (op.me, op.id)
            {
                let _ = waiter.ch.send(output);
            }
        }
    }

    /// What RPCs carry (in Go `GetArgs`, `PutArgs`), and what is submitted. Go's `DoOp` tells them apart by their types.
    #[derive(Serialize, Deserialize)]
    enum Req {
        Get { key: String },
        Put { key: String, value: String, version: u64 },
    }

    #[derive(Serialize, Deserialize)]
    struct Reply {
        err: Errno,
        value: String,
        version: u64,
    }

    #[derive(Clone, Copy, Serialize, Deserialize)]
    enum Errno {
        Ok,
        NoKey,
        Version,
        WrongLeader,
    }

    impl Reply {
        fn err(err: Errno) -> Reply {
            Reply { err, value: String::new(), version: 0 }
        }
    }

    /// The state machine: a value and its version by key. In Go, its methods are methods of the server.
    #[derive(Default)]
    struct Store(BTreeMap<String, (String, u64)>);

    impl StateMachine for Store {
        type Op = Req;
        type Output = Reply;

        fn apply(&mut self, req: Req) -> Reply {
            match req {
                Req::Get { key } => match self.0.get(&key).cloned() {
                    Some((value, version)) => Reply { err: Errno::Ok, value, version },
                    None => Reply::err(Errno::NoKey),
                },
                Req::Put { key, value, version } => match self.0.get(&key) {
                    None if version != 0 => Reply::err(Errno::NoKey),
                    Some((_, now)) if *now != version => Reply::err(Errno::Version),
                    _ => {
                        self.0.insert(key, (value, version + 1));
                        Reply::err(Errno::Ok)
                    }
                },
            }
        }

        fn snapshot(&self) -> Vec<u8> {
            codec::encode(&self.0)
        }

        fn restore(&mut self, snapshot: &[u8]) {
            self.0 = codec::decode(snapshot).expect("a snapshot of ours");
        }
    }

    /// The server. It only submits requests.
    pub struct KvServer {
        rsm: Arc<Rsm<Store>>,
    }

    impl KvServer {
        /// Go's `StartKVServer`.
        pub fn make(
            servers: Vec<ClientEnd>,
            me: usize,
            persister: Persister,
            max_raft_state: Option<usize>,
        ) -> (Arc<KvServer>, Vec<Service>) {
            let store = Store::default();
            let (rsm, mut services) = Rsm::make(servers, me, persister, max_raft_state, store);
            let kv = Arc::new(KvServer { rsm });
            let (get, put) = (kv.clone(), kv.clone());
            let service = Service::new("KVServer")
                .method("Get", move |req| get.submit(req))
                .method("Put", move |req| put.submit(req));
            services.push(service);
            (kv, services)
        }

        fn submit(&self, req: Req) -> Reply {
            self.rsm.submit(req).unwrap_or_else(|_| Reply::err(Errno::WrongLeader))
        }
    }

    impl Replica for KvServer {
        fn raft(&self) -> Arc<dyn labrpc::api::Raft> {
            self.rsm.raft()
        }

        fn kill(&self) {
            self.rsm.kill();
        }
    }

    /// A client.
    pub struct Clerk {
        servers: Vec<ClientEnd>,
        leader: usize,
    }

    impl Clerk {
        /// Go's `MakeClerk`.
        pub fn make(servers: Vec<ClientEnd>) -> Clerk {
            Clerk { servers, leader: 0 }
        }

        /// Asks until a server answers. Returns the reply, and whether it came at the first try.
        fn ask(&mut self, method: &'static str, req: &Req) -> (Reply, bool) {
            let mut first = true;
            loop {
                match self.servers[self.leader].call::<_, Reply>(method, req) {
                    None | Some(Reply { err: Errno::WrongLeader, .. }) => {}
                    Some(reply) => return (reply, first),
                }
                self.leader = (self.leader + 1) % self.servers.len();
                first = false;
                sleep(PAUSE);
            }
        }
    }

    impl labrpc::api::kv::VersionedClerk for Clerk {
        fn get(&mut self, key: &str) -> Option<(String, u64)> {
            match self.ask("KVServer.Get", &Req::Get { key: key.into() }) {
                (Reply { err: Errno::Ok, value, version }, _) => Some((value, version)),
                _ => None,
            }
        }

        /// A server that answers "wrong leader" may have accepted the put when it still led, and that try may be carried out later.
        /// So only the answer to the first try is certain: no other request of this put is on its way, because a request arrives at
        /// most once. (The lab's requests don't name their client, so no server can tell a copy from another client's put.)
        fn put(&mut self, key: &str, value: &str, version: u64) -> Result<(), PutError> {
            let req = Req::Put { key: key.into(), value: value.into(), version };
            match self.ask("KVServer.Put", &req) {
                (Reply { err: Errno::NoKey, .. }, true) => Err(PutError::NoKey),
                (Reply { err: Errno::Version, .. }, true) => Err(PutError::Version),
                (Reply { err: Errno::NoKey | Errno::Version, .. }, false) => Err(PutError::Maybe),
                _ => Ok(()),
            }
        }
    }
}

fn main() -> ExitCode {
    let lab = Lab::new()
        .raft(go_shape::Raft::make)
        .kv(kvraft::KvServer::make, kvraft::Clerk::make)
        .rsm(kvraft1::Rsm::make)
        .versioned(kvraft1::KvServer::make, kvraft1::Clerk::make);
    Program::new(lab).main()
}
