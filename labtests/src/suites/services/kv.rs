//! What the tests of the 2022 store have in common: clients that write and read for three rounds of five seconds, while the
//! servers get into trouble.

use crate::checks::ELECTION_TIMEOUT;
use crate::clients::{TextClient, Texts};
use crate::cluster::{Cluster, name};
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

/// A value with this number in it, so long that fifty of them, not compacted, are more than a log may have. A command alone has few
/// bytes here, unlike Go's, and a server that was away would still get it from the log.
pub fn long(number: u64) -> String {
    format!("{number:0>200}")
}

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);

/// What clients do, and what happens to the servers meanwhile.
#[derive(Clone, Copy)]
pub struct Load {
    clients: u64,
    partitions: bool,
    crashes: bool,
    shared_keys: bool,
}

/// Clients that write and read, each a key of its own.
pub const fn clients(clients: u64) -> Load {
    Load { clients, partitions: false, crashes: false, shared_keys: false }
}

impl Load {
    /// And every second or so the servers fall into two parties.
    pub const fn partitions(self) -> Load {
        Load { partitions: true, ..self }
    }

    /// And at the end of every round all servers crash, and start again.
    pub const fn crashes(self) -> Load {
        Load { crashes: true, ..self }
    }

    /// And all write the same keys. Then nobody knows what to expect, but in the end all of it must be linearizable.
    pub const fn shared_keys(self) -> Load {
        Load { shared_keys: true, ..self }
    }

    /// Does all of that.
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

    /// A client at work, until it is told to stop. It ends with what its key is to hold then.
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

/// Lets so much time go by, perhaps with partitions, then tells the clients to stop, and mends the network.
pub fn rough_time(cluster: &Cluster, time: Duration, partitions: bool, stop: &Stop) {
    if !partitions {
        cluster.sleep(time);
        stop.set();
        return;
    }
    cluster.sleep(Duration::from_secs(1)); // the clients get something done first
    let (troubled, until) = (cluster.clone(), stop.clone());
    let partitioner = spawn("partitioner", move || partition_until(&troubled, &until));
    cluster.sleep(time);
    stop.set();
    joined(partitioner);
    cluster.connect_all();
    cluster.sleep(ELECTION_TIMEOUT);
}

/// Draws a new partition every second or so.
fn partition_until(cluster: &Cluster, stop: &Stop) {
    while !stop.is_set() {
        let on_the_side = |_: &usize| cluster.draws().chance("on the side", 1, 2);
        let side: Vec<_> = (0..cluster.n()).filter(on_the_side).collect();
        cluster.partition(&side);
        cluster.sleep(ELECTION_TIMEOUT + cluster.draws().millis("partition", 0..200));
    }
}

/// While `f` runs, a third of all requests come a second time, up to 1.5 s later: their client has long gone on.
pub fn late_copies(cluster: &Cluster, f: impl FnOnce()) {
    cluster.net().duplicate(Some(Duplication { one_in: 3, within: ms(1500) }));
    f();
    cluster.net().duplicate(None);
}

/// While `f` runs, one in five requests of clients is late by up to 1.5 s. A client that doesn't wait for so long has asked again, and
/// perhaps gone on. The calls' numbers say which, so that nothing is drawn.
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

/// While `f` runs, threads of the servers stop now and then for a few milliseconds, anywhere between two steps: much is done between a
/// look at one thing and a look at the next. Elections seldom come of that.
pub fn hesitant_threads<R>(cluster: &Cluster, f: impl FnOnce() -> R) -> R {
    cluster.hiccups(Some(Hiccups { one_in: 4, lasting: ms(1)..ms(4) }));
    let result = f();
    cluster.hiccups(None);
    result
}

/// All servers crash; a second later they start again.
pub fn crash_all(cluster: &Cluster) {
    (0..cluster.n()).for_each(|i| cluster.crash(i));
    cluster.sleep(ELECTION_TIMEOUT);
    (0..cluster.n()).for_each(|i| cluster.start_server(i));
    cluster.connect_all();
}

/// Fails the test if a read gives something else than expected, of a key that nobody else is writing.
#[track_caller]
pub fn check_read(client: &mut TextClient, key: &str, expected: &str) {
    let got = client.get(key);
    if got != expected {
        run::fail(format!("C{} read key {key:?} and got {}", client.id, wrong(&got, expected)));
    }
}

/// How a value differs from what it should be, which property that breaks, and where to look.
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
        (..=60, _) => format!("{}, where {} was written", cut(got), cut(expected)),
        _ => format!("after byte {same} comes {}, where {}", cut(got_rest), due(expected_rest)),
    };
    format!("{what}: {place}. {why}")
}

const TWICE: &str = "A write was done twice (exactly once, thesis §6.3). Look at how a request that was done before is recognised when its \
    entry is applied: by its client, and a number that is not higher than the last; in snapshots, too. And at what a snapshot holds: no \
    more than the entries up to its index, or those after it are done again";
const LOST: &str = "A write that was acknowledged is missing (linearizability: a read sees all that was acknowledged before it began). Either \
    the read is stale, and was answered by a server that didn't know that it had been deposed (§8); or the write was acknowledged before it \
    was committed, taken for one that was done before, or missing in a snapshot";
const OTHER: &str = "Nobody else was writing this key (linearizability: a read sees the last write that was acknowledged before it began). \
    Either the read is stale (§8), or the last write was lost after it was acknowledged, or an older one was done again after it (exactly \
    once, thesis §6.3)";

/// The beginning of a text, in quotes.
fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None if text.is_empty() => "nothing".to_string(),
        None => format!("{text:?}"),
    }
}

/// What should come in this place.
fn due(rest: &str) -> String {
    if rest.is_empty() {
        "the value should end".into()
    } else {
        format!("{} should come", cut(rest))
    }
}

/// Fails the test if somebody's log is longer than the lab allows, or somebody makes snapshots unasked.
#[track_caller]
pub fn check_sizes(cluster: &Cluster) {
    match cluster.setup().max_raft_state() {
        Some(max) => check_log(cluster, 8 * max),
        None => {
            let (i, size) = cluster.largest_snapshot();
            if size > 0 {
                run::fail(format!(
                    "{} has saved a snapshot of {size} bytes, but max_raft_state is None: never",
                    name(i)
                ));
            }
        }
    }
}

/// Fails the test if anybody's saved Raft state is larger than this.
#[track_caller]
pub fn check_log(cluster: &Cluster, most: usize) {
    let (i, size) = cluster.largest_saved_state();
    if size > most {
        run::fail(format!(
            "{}'s saved Raft state has {size} bytes, and may have {most}: with a snapshot the log before it goes (§7)",
            name(i)
        ));
    }
}

/// A leader and so many others that they are no majority.
pub fn minority_with_the_leader(cluster: &Cluster) -> Vec<usize> {
    let leader = cluster.check_one_leader();
    (0..cluster.n().div_ceil(2) - 1)
        .map(|step| crate::suites::worlds::steps::after(cluster, leader, step))
        .collect()
}

/// Asks for a put and a get in the minority, by the clients with these numbers: nobody there can answer. While they wait,
/// `meanwhile` happens; then the partition heals, and both get their answers.
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
            "a {what} was answered by a server that is cut off from the majority: it can't know that it still leads"
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
                "4 s after the partition healed, what was asked in the minority isn't answered: whoever waits for an entry \
                 that was lost with an old leader must be told, and must ask again",
            );
        }
    }
    (joined(putting), joined(getting))
}

/// A thousand appends, one after the other, and whether they are there.
pub fn speed_of_appends(texts: &Texts) {
    let mut client = texts.clerk();
    client.get("x"); // the first waits for a leader
    let mut expected = String::new();
    check_speed(|n| {
        let new = format!("x 0 {n} y");
        client.append("x", &new);
        expected.push_str(&new);
    });
    check_read(&mut client, "x", &expected);
}

/// Does a thousand things one after the other, and fails the test if they take longer than the lab allows: three in the
/// time between two heartbeats.
#[track_caller]
pub fn check_speed(mut one: impl FnMut(u64)) {
    const OPERATIONS: u32 = 1000;
    let most = ms(100) / 3;
    let began = Instant::now();
    (0..OPERATIONS).for_each(|n| one(n.into()));
    let each = began.elapsed() / OPERATIONS;
    if each > most {
        run::fail(format!(
            "an operation takes {each:?} and may take {most:?}: entries are to be sent when they come, not with the next heartbeat"
        ));
    }
}
