//! The common part of the tests of the 2022 store: clients write and read for three rounds of five seconds, while the servers
//! have trouble.

use crate::clients::{TextClient, Texts};
use crate::cluster::{Cluster, name};
use crate::limits::ELECTION_TIMEOUT;
use crate::service::Site;
use crate::suites::worlds::steps::ms;
use crate::suites::worlds::threads::{Stop, joined, spawn};
use labrpc::api::kv::Replica;
use labrpc::channel;
use labrpc::network::{Duplication, Fate, Leg};
use labrpc::run;
use labrpc::thread::{Hiccups, JoinHandle};
use labrpc::time::{Duration, Instant};

/// The `max_raft_state` of tests with snapshots, in bytes.
pub const MAX_RAFT_STATE: usize = 1000;

/// A value that contains this number. It is so long that fifty such values in a log without snapshots are more than a log may
/// have. With short values, a server that was cut off would still get them from the log, because a command has fewer bytes here
/// than in Go.
pub fn long(number: u64) -> String {
    format!("{number:0>200}")
}

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);

/// What clients do, and what happens to the servers at the same time.
#[derive(Clone, Copy)]
pub struct Load {
    clients: u64,
    partitions: bool,
    crashes: bool,
    shared_keys: bool,
}

/// Clients that write and read, each its own key.
pub const fn clients(clients: u64) -> Load {
    Load { clients, partitions: false, crashes: false, shared_keys: false }
}

impl Load {
    /// The same load, and about every second a new partition divides the servers into two parts.
    pub const fn partitions(self) -> Load {
        Load { partitions: true, ..self }
    }

    /// The same load, and at the end of every round all servers crash and start again.
    pub const fn crashes(self) -> Load {
        Load { crashes: true, ..self }
    }

    /// The same load, but all clients write the same keys. Then a client doesn't know which value to expect, but at the end the
    /// whole history must be linearizable.
    pub const fn shared_keys(self) -> Load {
        Load { shared_keys: true, ..self }
    }

    /// Runs the load for three rounds.
    pub fn run(self, texts: &Texts) {
        for _ in 0..ROUNDS {
            self.round(texts);
        }
    }

    fn round(self, texts: &Texts) {
        self.during(texts, |stop| {
            rough_time(texts, ROUND, self.partitions, stop);
            if self.crashes {
                crash_all(texts);
            }
        });
        check_sizes(texts);
    }

    /// Lets the clients work while something happens, and checks what they have written.
    pub fn during(self, texts: &Texts, happens: impl FnOnce(&Stop)) {
        let stop = Stop::default();
        let clients: Vec<_> =
            (0..self.clients).map(|number| self.client(texts, number, &stop)).collect();
        happens(&stop);
        stop.set();
        let written = clients.into_iter().map(joined);
        let written: Vec<String> = written.collect();
        if !self.shared_keys {
            let mut reader = texts.clerk();
            for (number, expected) in written.iter().enumerate() {
                check_read(&mut reader, &number.to_string(), expected);
            }
        }
    }

    /// Starts a client, which works until `stop` is set. It returns the value that its key must have then.
    fn client(self, texts: &Texts, number: u64, stop: &Stop) -> JoinHandle<String> {
        let mut client = texts.clerk();
        let (cluster, stop) = (texts.cluster().clone(), stop.clone());
        spawn(&format!("client {number}"), move || {
            let mut key = number.to_string();
            let mut value = String::new();
            if !self.shared_keys {
                client.put(&key, &value);
            }
            for n in 0.. {
                if stop.is_set() {
                    break;
                }
                if self.shared_keys {
                    key = cluster.draws().below("key", self.clients).to_string();
                }
                let new = format!("x {number} {n} y");
                if cluster.draws().chance("append", 1, 2) {
                    client.append(&key, &new);
                    value.push_str(&new);
                } else if self.shared_keys && cluster.draws().chance("put", 1, 10) {
                    client.put(&key, &new);
                } else if self.shared_keys {
                    client.get(&key);
                } else {
                    check_read(&mut client, &key, &value);
                }
            }
            value
        })
    }
}

/// Lets `time` pass, perhaps with partitions, then tells the clients to stop, and ends the partitions.
pub fn rough_time(cluster: &Cluster, time: Duration, partitions: bool, stop: &Stop) {
    if !partitions {
        cluster.sleep(time);
        stop.set();
        return;
    }
    cluster.sleep(Duration::from_secs(1)); // the clients finish some operations first
    let (troubled, until) = (cluster.clone(), stop.clone());
    let partitioner = spawn("partitioner", move || partition_until(&troubled, &until));
    cluster.sleep(time);
    stop.set();
    joined(partitioner);
    cluster.connect_all();
    cluster.sleep(ELECTION_TIMEOUT);
}

/// Makes a new random partition about every second.
fn partition_until(cluster: &Cluster, stop: &Stop) {
    while !stop.is_set() {
        let on_the_side = |_: &usize| cluster.draws().chance("on the side", 1, 2);
        let side: Vec<_> = (0..cluster.n()).filter(on_the_side).collect();
        cluster.partition(&side);
        cluster.sleep(ELECTION_TIMEOUT + cluster.draws().millis("partition", 0..200));
    }
}

/// While `f` runs, a third of all requests arrive a second time, up to 1.5 s later, when their client has made other requests.
pub fn late_copies(cluster: &Cluster, f: impl FnOnce()) {
    cluster.net().duplicate(Some(Duplication { one_in: 3, within: ms(1500) }));
    f();
    cluster.net().duplicate(None);
}

/// While `f` runs, one in five requests of clients is late by up to 1.5 s. A client that doesn't wait that long has asked again
/// by then, and has perhaps made other requests. The number of the call decides which requests are late, so that no random
/// numbers are consumed.
pub fn late_requests(cluster: &Cluster, f: impl FnOnce()) {
    cluster.net().intercept(|letter| {
        let of_client = letter.end.starts_with('C') && letter.leg == Leg::Request;
        match of_client && letter.call.is_multiple_of(5) {
            true => Fate::Delay(ms(letter.call * 7 % 1500)),
            false => Fate::Deliver,
        }
    });
    f();
    cluster.net().no_intercept();
}

/// While `f` runs, threads of the servers stop now and then for 1-4 ms, anywhere between two steps. So much can happen between
/// a thread's reads of two variables. These stops seldom cause elections.
pub fn hesitant_threads<R>(cluster: &Cluster, f: impl FnOnce() -> R) -> R {
    cluster.hiccups(Some(Hiccups { one_in: 4, lasting: ms(1)..ms(4) }));
    let result = f();
    cluster.hiccups(None);
    result
}

/// Crashes all servers, and starts them again a second later.
pub fn crash_all(cluster: &Cluster) {
    (0..cluster.n()).for_each(|i| cluster.crash(i));
    cluster.sleep(ELECTION_TIMEOUT);
    (0..cluster.n()).for_each(|i| cluster.start_server(i));
    cluster.connect_all();
}

/// Fails the test if a read returns another value than expected. No other client may be writing this key.
#[track_caller]
pub fn check_read(client: &mut TextClient, key: &str, expected: &str) {
    let got = client.get(key);
    if got != expected {
        run::fail(format!("C{} read key {key:?} and got {}", client.id, wrong(&got, expected)));
    }
}

/// Says how a value differs from the expected one, which property that breaks, and where to look.
fn wrong(got: &str, expected: &str) -> String {
    let same = got.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let boundary = |at: &usize| got.is_char_boundary(*at) && expected.is_char_boundary(*at);
    let same = (0..=same).rev().find(boundary).unwrap_or(0);
    let (got_rest, expected_rest) = (&got[same..], &expected[same..]);
    let (what, why) = if got_rest.ends_with(expected_rest) {
        ("more than was written", TWICE)
    } else if expected_rest.ends_with(got_rest) {
        ("less than was written", LOST)
    } else {
        ("another value than was written last", OTHER)
    };
    let place = match (got.len().max(expected.len()), same) {
        (..=60, _) => format!("{}, but {} was written", cut(got), cut(expected)),
        _ if got_rest.is_empty() => {
            format!("the value ends after byte {same}, but {}", due(expected_rest))
        }
        _ => format!(
            "after byte {same} the value continues with {}, but {}",
            cut(got_rest),
            due(expected_rest)
        ),
    };
    format!("{what}: {place}. {why}")
}

const TWICE: &str = "A write was applied twice (exactly once, thesis §6.3). Look at how the server recognises an old request \
    when it applies an entry: a request is old if its number is not higher than the last applied number of its client. Snapshots must keep these \
    numbers, too. Also look at what a snapshot holds: if it holds more than the entries up to its index, the entries after the \
    index are applied twice";
const LOST: &str = "A write that was acknowledged is missing (linearizability: a read sees every write that was acknowledged \
                    before it began). There are four possible causes. The read is stale: a deposed server that did not know of \
                    its deposition has answered it (§8). Or the write was acknowledged before it was committed. Or the write was \
                    mistaken for an older request. Or the write is missing in a snapshot";
const OTHER: &str = "No other client was writing this key (linearizability: a read sees the last write that was acknowledged \
    before it began). There are three possible causes. The read is stale (§8). Or the last write was lost after it was \
    acknowledged. Or an older write was applied again after it (exactly once, thesis §6.3)";

/// The beginning of a text, in quotes.
fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None if text.is_empty() => "nothing".to_string(),
        None => format!("{text:?}"),
    }
}

/// Says what should come at this place.
fn due(rest: &str) -> String {
    if rest.is_empty() {
        "the value should end".into()
    } else {
        format!("{} should follow", cut(rest))
    }
}

/// Fails the test if a server's log is longer than the lab allows, or if a server makes snapshots though it should not.
#[track_caller]
pub fn check_sizes(cluster: &Cluster) {
    match cluster.setup().max_raft_state() {
        Some(max) => check_log(cluster, 8 * max),
        None => {
            let (i, size) = cluster.largest_snapshot();
            if size > 0 {
                run::fail(format!(
                    "{} has saved a snapshot of {size} bytes, but max_raft_state is None, which means: no snapshots",
                    name(i)
                ));
            }
        }
    }
}

/// Fails the test if any server's saved Raft state is larger than `most` bytes.
#[track_caller]
pub fn check_log(cluster: &Cluster, most: usize) {
    let (i, size) = cluster.largest_saved_state();
    if size > most {
        run::fail(format!(
            "{}'s saved Raft state has {size} bytes, but at most {most} are allowed. A server must discard the log entries that \
             a snapshot covers (§7)",
            name(i)
        ));
    }
}

/// The leader and as many other servers as possible without being a majority.
pub fn minority_with_the_leader(cluster: &Cluster) -> Vec<usize> {
    let leader = cluster.check_one_leader();
    (0..cluster.n().div_ceil(2) - 1)
        .map(|step| crate::suites::worlds::steps::after(cluster, leader, step))
        .collect()
}

/// Asks for a put and a get in the minority, by the clients with these ids. No server there may answer. While the clients wait,
/// `meanwhile` runs. Then the partition heals, and both clients must get their answers.
#[track_caller]
pub fn ask_in_the_minority<P: Send + 'static, G: Send + 'static>(
    site: &Site<dyn Replica>,
    clients: [u64; 2],
    put: impl FnOnce() -> P + Send + 'static,
    get: impl FnOnce() -> G + Send + 'static,
    meanwhile: impl FnOnce(),
) -> (P, G) {
    let (done, end) = channel::unbounded();
    let told = done.clone();
    let putting = spawn("put in the minority", move || {
        let result = put();
        let _ = told.send("put");
        result
    });
    let getting = spawn("get in the minority", move || {
        let got = get();
        let _ = done.send("get");
        got
    });
    if let Ok(what) = end.recv_timeout(ELECTION_TIMEOUT) {
        run::fail(format!(
            "a server that is cut off from the majority answered a {what}, but it can't know whether it still leads (§5.3, §8)"
        ));
    }
    meanwhile();
    site.connect_all();
    clients.into_iter().for_each(|id| site.connect_client(id, &site.all()));
    site.sleep(ELECTION_TIMEOUT);
    let deadline = Instant::now() + Duration::from_secs(3);
    for _ in clients {
        if end.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
            run::fail(
                "4 s after the partition healed, a request that was made in the minority is still not answered. If the entry of \
                 an old leader is lost, the server must answer the client that waits for this entry, so that the client asks \
                 again",
            );
        }
    }
    (joined(putting), joined(getting))
}

/// Does a thousand appends, one after the other, and measures the time. Then all of them must be there.
pub fn speed_of_appends(texts: &Texts) {
    let mut client = texts.clerk();
    client.get("x"); // the first request waits for a leader
    let mut expected = String::new();
    check_speed(|n| {
        let new = format!("x 0 {n} y");
        client.append("x", &new);
        expected.push_str(&new);
    });
    check_read(&mut client, "x", &expected);
}

/// Does a thousand operations one after the other. Fails the test if they take longer than the lab allows: three operations in
/// the time between two heartbeats.
#[track_caller]
pub fn check_speed(mut one: impl FnMut(u64)) {
    const OPERATIONS: u32 = 1000;
    let most = ms(100) / 3;
    let began = Instant::now();
    (0..OPERATIONS).for_each(|n| one(n.into()));
    let each = began.elapsed() / OPERATIONS;
    if each > most {
        run::fail(format!(
            "an operation takes {each:?} on average, but at most {most:?} is allowed. A leader must send an entry at once, not \
             with the next heartbeat (§5.3)"
        ));
    }
}
