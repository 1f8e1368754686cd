//! Changes of the members, as tests ask for them.

use crate::cluster::{Cluster, name};
use crate::suites::worlds::steps::ms;
use labrpc::api::beyond::NotChanged;
use labrpc::run;
use labrpc::time::{Duration, Instant};
use std::collections::BTreeSet;

/// What is to become of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A member.
    Add(usize),
    /// None.
    Remove(usize),
}

impl Wish {
    /// Asks server `i` for it.
    pub fn ask(self, cluster: &Cluster, i: usize) -> Option<Result<(), NotChanged>> {
        match self {
            Wish::Add(server) => cluster.add_server(i, server),
            Wish::Remove(server) => cluster.remove_server(i, server),
        }
    }

    /// Whether these members are as it wants them.
    pub fn is_true_of(self, members: &BTreeSet<usize>) -> bool {
        match self {
            Wish::Add(server) => members.contains(&server),
            Wish::Remove(server) => !members.contains(&server),
        }
    }
}

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wish::Add(server) => write!(f, "add {}", name(*server)),
            Wish::Remove(server) => write!(f, "remove {}", name(*server)),
        }
    }
}

/// For so long a change may be asked for again and again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has some leader carry the wish out. In calm weather the first one asked does.
#[track_caller]
pub(super) fn change(cluster: &Cluster, wish: Wish) {
    let began = Instant::now();
    let mut last = "no server leads".to_string();
    while began.elapsed() < PATIENCE {
        for i in 0..cluster.n() {
            if !matches!(cluster.state(i), Some((_, true))) {
                continue;
            }
            match wish.ask(cluster, i) {
                // An earlier try, of which nobody knew what became.
                Some(Ok(()) | Err(NotChanged::Member | NotChanged::NotMember)) => return,
                Some(Err(why)) => last = format!("{} said {why:?}", name(i)),
                None => last = format!("{} crashed", name(i)),
            }
        }
        cluster.sleep(ms(100));
    }
    run::fail(format!(
        "in {PATIENCE:?} no leader could {wish}; at last {last}. A change that a new leader finds in its log is committed with an entry \
         of its own term, a no-op, which it appends without being given a command; and it begins none before (thesis §4.1, and its \
         author on raft-dev in 2015); {}",
        cluster.who_thinks_what()
    ));
}

/// Fails the test unless `i` takes these for the members.
#[track_caller]
pub(super) fn check_members(cluster: &Cluster, i: usize, expected: &[usize]) {
    let found = cluster.members(i);
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    if found.as_ref() != Some(&expected) {
        run::fail(format!(
            "{} says that the members are {}, and they are {expected:?}. A server uses the last configuration in its log, and the one \
             before that if its entry is cut off (thesis §4.1), and after a snapshot the one in that (§5.1)",
            name(i),
            found.map_or("nobody: it is down".into(), |found| format!("{found:?}"))
        ));
    }
}
