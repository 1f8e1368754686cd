//! The common part of the tests of the 2025 store: for three rounds of a second, clients read a key and then write it with the
//! version that they have read.

use crate::clients::{VersionClient, Versions};
use crate::suites::services::kv::{check_sizes, check_speed, crash_all, rough_time};
use crate::suites::worlds::threads::{Stop, joined, spawn};
use labrpc::api::kv::PutError;
use labrpc::run;
use labrpc::thread::JoinHandle;
use labrpc::time::Duration;
use std::collections::BTreeMap;

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(1);
/// How many keys the clients share if they don't all write one key.
const KEYS: u64 = 100;

/// What clients do, and what happens to the servers at the same time.
#[derive(Clone, Copy)]
pub struct Load {
    clients: u64,
    partitions: bool,
    crashes: bool,
    many_keys: bool,
}

/// Clients that all write one key.
pub const fn clients(clients: u64) -> Load {
    Load { clients, partitions: false, crashes: false, many_keys: false }
}

/// The answers that clients got to their puts to a key.
#[derive(Clone, Copy, Default)]
struct Puts {
    done: u64,
    maybe: u64,
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

    /// The same load, but the clients write many keys.
    pub const fn many_keys(self) -> Load {
        Load { many_keys: true, ..self }
    }

    /// Runs the load for three rounds. The clients' history must be linearizable, and the version of each key must be the
    /// number of puts that were done to it.
    pub fn run(self, versions: &Versions) {
        let mut puts = BTreeMap::<String, Puts>::new();
        for _ in 0..ROUNDS {
            let stop = Stop::default();
            let clients: Vec<_> =
                (0..self.clients).map(|number| self.client(versions, number, &stop)).collect();
            rough_time(versions, ROUND, self.partitions, &stop);
            if self.crashes {
                crash_all(versions);
            }
            for (key, told) in clients.into_iter().flat_map(joined) {
                let all = puts.entry(key).or_default();
                all.done += told.done;
                all.maybe += told.maybe;
            }
            self.check_puts(versions, &puts);
            versions.check_history();
            check_sizes(versions);
        }
    }

    fn client(
        self,
        versions: &Versions,
        number: u64,
        stop: &Stop,
    ) -> JoinHandle<BTreeMap<String, Puts>> {
        let mut client = versions.clerk();
        let (cluster, stop) = (versions.cluster().clone(), stop.clone());
        spawn(&format!("client {number}"), move || {
            let mut told = BTreeMap::<String, Puts>::new();
            let mut n = 0;
            while !stop.is_set() {
                let key = match self.many_keys {
                    true => format!("k{}", cluster.draws().below("key", KEYS)),
                    false => "k".to_string(),
                };
                n += 1;
                let puts = told.entry(key.clone()).or_default();
                write(&mut client, &key, &format!("{number}, {n}"), puts, &stop);
            }
            told
        })
    }

    /// Whether the network loses nothing and nothing else goes wrong. Then no put may be answered with Maybe.
    fn nothing_goes_wrong(self, versions: &Versions) -> bool {
        !self.partitions && !self.crashes && versions.setup().reliable
    }

    fn check_puts(self, versions: &Versions, puts: &BTreeMap<String, Puts>) {
        let mut reader = versions.clerk();
        for (key, Puts { done, maybe }) in puts {
            let version = reader.get(key).map_or(0, |(_, version)| version);
            let most = if self.nothing_goes_wrong(versions) { *done } else { done + maybe };
            if !(*done..=most).contains(&version) {
                let why = if version > *done {
                    "Every put that is done adds one to the version. There are two possible causes. Either a put was done, but \
                     it was answered with Version. The right answer is Maybe, because an earlier request of the same put may \
                     have raised the version. Or a put was done twice (exactly once, thesis §6.3)"
                } else {
                    "A put that was acknowledged got lost, or was never done (linearizability)"
                };
                run::fail(format!(
                    "{key:?} has version {version}, after {done} puts that were answered with Ok and {maybe} puts that were \
                     answered with Maybe. {why}"
                ));
            }
        }
    }
}

/// Writes a key with the version that the key has. Tries again if another client has written the key first.
fn write(client: &mut VersionClient, key: &str, value: &str, puts: &mut Puts, stop: &Stop) {
    while !stop.is_set() {
        let version = client.get(key).map_or(0, |(_, version)| version);
        match client.put(key, value, version) {
            Ok(()) => puts.done += 1,
            Err(PutError::Maybe) => puts.maybe += 1,
            Err(PutError::Version) => continue,
            Err(PutError::NoKey) => run::fail(format!(
                "C{} had just read version {version} of {key:?}. Its put with this version was answered with NoKey, that is, \
                 there is no such key. Keys don't vanish (linearizability). The server that answered has not applied a put that \
                 was acknowledged, or has lost it",
                client.id
            )),
        }
        return;
    }
}

/// Puts a key that no other client writes. Fails the test if the put isn't done. If the answer is Maybe, an earlier try must
/// have done it.
#[track_caller]
pub fn put(client: &mut VersionClient, key: &str, value: &str, version: u64) {
    match client.put(key, value, version) {
        Ok(()) => {}
        Err(PutError::Maybe) => check_read(client, key, value, version + 1),
        Err(error) => run::fail(format!(
            "C{} put {value:?} at {key:?} with version {version}, and the answer was {error:?}. No other client writes this key, \
             so the key has this version. Either an earlier request of this put was done, and then the answer must be Maybe. Or \
             the server that answered has not applied a put that was acknowledged (linearizability)",
            client.id
        )),
    }
}

/// Fails the test if a read returns another value or version than expected.
#[track_caller]
pub fn check_read(client: &mut VersionClient, key: &str, value: &str, version: u64) {
    let got = client.get(key);
    if got != Some((value.to_string(), version)) {
        let now = got.as_ref().map_or(0, |(_, version)| *version);
        let why = match () {
            () if now > version => {
                "no other client writes this key, so a put was done twice, or a refused put was done (exactly once, thesis §6.3)"
            }
            () if now < version => {
                "a put that was acknowledged is missing (linearizability: a read sees every write that was acknowledged before \
                 it began). Either the read is stale (§8), or the put got lost"
            }
            () => {
                "the put that made this version is not the put that was acknowledged (linearizability)"
            }
        };
        run::fail(format!(
            "C{} read key {key:?} and got {got:?}, but {value:?} with version {version} was written: {why}",
            client.id
        ));
    }
}

/// Does a thousand puts, one after the other, and measures the time. Then the last one must be there.
pub fn speed_of_puts(versions: &Versions) {
    let mut client = versions.clerk();
    client.get("x"); // the first request waits for a leader
    check_speed(|n| put(&mut client, "x", &format!("x 0 {n} y"), n));
    check_read(&mut client, "x", "x 0 999 y", 1000);
}
