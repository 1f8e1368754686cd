//! The lab's tests, for anybody's Raft, and for anybody's service on one.
//!
//! A test is a function of a [`Cluster`], and sees its servers only through [`labrpc::api::Raft`]; or of a [`Site`](crate::service::Site),
//! through [`labrpc::api::kv`].

pub mod beyond;
pub(crate) mod by_name;
mod deposed;
pub mod kv;
pub mod kv_3a;
pub mod kv_3b;
pub mod kv_plus;
pub mod raft_2a;
pub mod raft_2a_leaders;
pub mod raft_2a_plus;
pub mod raft_2a_rivals;
pub mod raft_2b;
pub mod raft_2b_plus;
pub mod raft_2b_reigns;
pub mod raft_2b_scripts;
pub mod raft_2c;
pub mod raft_2c_plus;
pub mod raft_2c_saves;
pub mod raft_2d;
pub mod raft_2d_installs;
pub mod raft_2d_plus;
pub mod raft_2d_saves;
pub mod raft_2d_scripts;
mod rivals;
pub mod rsm;
pub mod rsm_4a;
pub mod rsm_plus;
pub mod stage;
pub mod storm;
pub mod versioned;
pub mod versioned_4b;
pub mod versioned_4c;
pub mod versioned_plus;

use crate::clients::{Texts, Versions};
use crate::cluster::{Cluster, Setup, Snapshots};
use crate::lab::Ability;
use crate::ledger::command;
use labrpc::api::Started;
use labrpc::time::Duration;
use rsm::Counters;

/// One test of the lab.
#[derive(Clone, Copy, Debug)]
pub struct LabTest {
    /// The part of the lab: `2A`.
    pub part: &'static str,
    /// Our name for it, which is also the function's.
    pub name: &'static str,
    /// The name it has in the Go lab, without the part.
    pub go_name: &'static str,
    /// What it runs on.
    pub setup: Setup,
    /// The test itself.
    pub body: Body,
}

/// A test, by what it is a test of.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// A Raft.
    Raft(fn(&Cluster)),
    /// A store with get, put and append.
    Kv(fn(&Texts)),
    /// A replicated state machine.
    Rsm(fn(&Counters)),
    /// A store whose values have versions.
    Versioned(fn(&Versions)),
    /// The same, whose requests may come twice.
    Once(fn(&Versions)),
    /// A Raft that can more than the lab asks for.
    Beyond(Ability, fn(&Cluster)),
    /// A store on such a Raft.
    Store(Ability, fn(&Texts)),
}

impl LabTest {
    /// Whether servers are expected to save what Figure 2 calls persistent: many run 2A and 2B before theirs do.
    pub fn expects_saves(&self) -> bool {
        !self.part.starts_with("2A") && !self.part.starts_with("2B")
    }

    /// Whether it says when it [has come to its check](Cluster::reached_check): ours do, and the Go lab's need not, for they
    /// give up nowhere.
    pub fn declares_check(&self) -> bool {
        self.part.ends_with('+') || matches!(self.body, Body::Beyond(..) | Body::Store(..))
    }

    /// Whether the members may change, and so what a majority is.
    pub fn changes_members(&self) -> bool {
        matches!(self.body, Body::Beyond(Ability::Members, _) | Body::Store(Ability::Members, _))
    }
}

/// Servers on a network that begins reliable.
const fn reliable(servers: usize) -> Setup {
    Setup { servers, members: servers, reliable: true, snapshots: Snapshots::Never }
}

/// Servers on a network that begins unreliable.
const fn unreliable(servers: usize) -> Setup {
    Setup { servers, members: servers, reliable: false, snapshots: Snapshots::Never }
}

/// Of which only so many are members at first.
const fn members(members: usize, setup: Setup) -> Setup {
    Setup { members, ..setup }
}

/// With a service that makes snapshots.
const fn with_snapshots(setup: Setup) -> Setup {
    Setup { snapshots: Snapshots::EveryTenth, ..setup }
}

/// With a service that hands its snapshots over late, twice, and out of order.
const fn sloppy(setup: Setup) -> Setup {
    Setup { snapshots: Snapshots::Sloppy, ..setup }
}

/// With a service of its own, which gets this as `max_raft_state`.
const fn service(setup: Setup, max_raft_state: Option<usize>) -> Setup {
    Setup { snapshots: Snapshots::Own(max_raft_state), ..setup }
}

/// The list of a module's tests: `name: "GoName", setup;`.
macro_rules! tests {
    ($part:literal, $body:ident $(($ability:ident))?: $($name:ident = $go_name:literal, $setup:expr;)*) => {
        $crate::suites::tests!(TESTS = $part, $body $(($ability))?: $($name = $go_name, $setup;)*);
    };
    ($list:ident = $part:literal, $body:ident: $($name:ident = $go_name:literal, $setup:expr;)*) => {
        /// The tests of this part, in the lab's order.
        pub const $list: &[$crate::suites::LabTest] = &[$($crate::suites::LabTest {
            part: $part,
            name: stringify!($name),
            go_name: $go_name,
            setup: $setup,
            body: $crate::suites::Body::$body($name),
        }),*];
    };
    ($list:ident = $part:literal, $body:ident($ability:ident): $($name:ident = $go_name:literal, $setup:expr;)*) => {
        /// The tests of this part that are for this ability.
        pub const $list: &[$crate::suites::LabTest] = &[$($crate::suites::LabTest {
            part: $part,
            name: stringify!($name),
            go_name: $go_name,
            setup: $setup,
            body: $crate::suites::Body::$body($crate::lab::Ability::$ability, $name),
        }),*];
    };
}
use tests;

/// Every test: the Go lab's for a Raft in its order, then ours; then those of services, likewise; then what is beyond the lab.
pub fn all() -> impl Iterator<Item = &'static LabTest> + Clone + Send {
    let classic = [raft_2a::TESTS, raft_2b::TESTS, raft_2c::TESTS, raft_2d::TESTS];
    let plus = [
        raft_2a_plus::TESTS,
        raft_2a_leaders::TESTS,
        raft_2a_rivals::TESTS,
        raft_2b_plus::TESTS,
        raft_2b_scripts::TESTS,
        raft_2b_reigns::TESTS,
        raft_2c_plus::TESTS,
        raft_2c_saves::TESTS,
        raft_2d_plus::TESTS,
        raft_2d_scripts::TESTS,
        raft_2d_saves::TESTS,
        raft_2d_installs::TESTS,
    ];
    let services =
        [kv_3a::TESTS, kv_3b::TESTS, rsm_4a::TESTS, versioned_4b::TESTS, versioned_4c::TESTS];
    let services_plus =
        [kv_plus::TESTS, rsm_plus::TESTS, versioned_plus::TESTS, versioned_plus::SNAPSHOTS];
    let lab = classic.into_iter().chain(plus).chain(services).chain(services_plus);
    lab.chain(beyond::LISTS).flatten()
}

/// A random command. Short, for the lab bounds the size of the log.
fn random(cluster: &Cluster) -> u64 {
    cluster.draws().below("command", 1_000_000_000)
}

/// Gets so many random commands agreed on, one after the other, by so many servers; gives back the last index.
fn agree(cluster: &Cluster, commands: usize, servers: usize) -> u64 {
    (0..commands).fold(0, |_, _| cluster.one(random(cluster), servers, true))
}

/// The same with commands that are so long.
fn agree_on_long(cluster: &Cluster, commands: usize, bytes: usize, servers: usize) -> u64 {
    let letter = |_| b'a' + cluster.draws().below("letter", 26) as u8;
    (0..commands).fold(0, |_, _| {
        let command: Vec<u8> = (0..bytes).map(letter).collect();
        cluster.one_command(&command.into(), servers, true)
    })
}

/// Gives so many random commands to a server, which may not lead; gives back what it says of the last that it takes.
fn give(cluster: &Cluster, i: usize, commands: usize) -> Option<Started> {
    let give_one = || cluster.start(i, &command(random(cluster))).ok();
    (0..commands).fold(None, |last, _| give_one().or(last))
}

/// Starts a server again, perhaps after a crash.
fn restart(cluster: &Cluster, i: usize) {
    cluster.start_server(i);
    cluster.connect(i);
}

/// So many milliseconds.
const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The server `steps` after `server`, in a ring.
fn after(cluster: &Cluster, server: usize, steps: usize) -> usize {
    (server + steps) % cluster.n()
}

/// A random server.
fn anybody(cluster: &Cluster) -> usize {
    cluster.draws().below("server", cluster.n() as u64) as usize
}
