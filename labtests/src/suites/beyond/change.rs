//! The configuration changes that tests ask for.

use crate::cluster::{Cluster, name};
use crate::suites::worlds::steps::ms;
use labrpc::api::beyond::NotChanged;
use labrpc::run;
use labrpc::time::{Duration, Instant};
use std::collections::BTreeSet;

/// A configuration change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRequest {
    /// Adds this server as a member.
    Add(usize),
    /// Removes this server from the members.
    Remove(usize),
}

impl ChangeRequest {
    /// Asks server `i` for the change.
    pub fn ask(self, cluster: &Cluster, i: usize) -> Option<Result<(), NotChanged>> {
        match self {
            ChangeRequest::Add(server) => cluster.add_server(i, server),
            ChangeRequest::Remove(server) => cluster.remove_server(i, server),
        }
    }

    /// Whether these members are as they should be after the change.
    pub fn is_true_of(self, members: &BTreeSet<usize>) -> bool {
        match self {
            ChangeRequest::Add(server) => members.contains(&server),
            ChangeRequest::Remove(server) => !members.contains(&server),
        }
    }
}

impl std::fmt::Display for ChangeRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChangeRequest::Add(server) => write!(f, "add {}", name(*server)),
            ChangeRequest::Remove(server) => write!(f, "remove {}", name(*server)),
        }
    }
}

/// How long a change is asked for again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks leaders for the change until one has made it. When there is no trouble, the first leader makes it.
#[track_caller]
pub(super) fn change(cluster: &Cluster, request: ChangeRequest) {
    let began = Instant::now();
    let mut last = "no server leads".to_string();
    while began.elapsed() < PATIENCE {
        for i in 0..cluster.n() {
            if !matches!(cluster.state(i), Some((_, true))) {
                continue;
            }
            match request.ask(cluster, i) {
                // An earlier try with an unknown outcome may have made the change already.
                Some(Ok(()) | Err(NotChanged::Member | NotChanged::NotMember)) => return,
                Some(Err(why)) => last = format!("{} said {why:?}", name(i)),
                None => last = format!("{} crashed", name(i)),
            }
        }
        cluster.sleep(ms(100));
    }
    run::fail(format!(
        "no leader could {request} within {PATIENCE:?}. The last answer: {last}. A new leader must append a no-op without \
         waiting for a command. With this entry of its own term, the leader commits a change that it finds in its log. It begins \
         no change before this entry is committed (thesis §4.1, and its author on raft-dev in 2015); {}",
        cluster.who_thinks_what()
    ));
}

/// Fails the test unless `expected` are the members according to server `i`.
#[track_caller]
pub(super) fn check_members(cluster: &Cluster, i: usize, expected: &[usize]) {
    let found = cluster.members(i);
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    if found.as_ref() != Some(&expected) {
        run::fail(format!(
            "{0} says that the members are {1}, but the members are {expected:?}. A server uses the last configuration in its \
             log (thesis §4.1). If that entry is removed from the log, the server uses the configuration before it. After a \
             snapshot, the server uses the configuration in the snapshot (thesis §5.1). Otherwise two majorities may have no \
             server in common, and Election Safety (Figure 3) rests on that server",
            name(i),
            found.map_or("unknown, because it is down".into(), |found| format!("{found:?}"))
        ));
    }
}
