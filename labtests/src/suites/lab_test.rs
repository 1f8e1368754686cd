//! [`LabTest`], and the macro with which a file lists its tests.

use crate::clients::{Texts, Versions};
use crate::cluster::{Cluster, Setup};
use crate::counters::Counters;
use crate::suites::nastier;
use parking_lot::Mutex;

/// One test of the lab.
#[derive(Clone, Copy, Debug)]
pub struct LabTest {
    /// The part of the lab: `2A`.
    pub part: &'static str,
    /// Our name for the test. The function has the same name.
    pub name: &'static str,
    /// The name it has in the Go lab, without the part. For a test of ours, the first name that it had here.
    pub go_name: &'static str,
    /// The cluster that it runs on.
    pub setup: Setup,
    /// The test itself.
    pub body: Body,
}

/// What a Raft may offer beyond the lab. Each ability has a suite. See [`labrpc::api::beyond`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// A server that cannot win an election does not disturb the others, and a leader without a majority steps down (thesis §9.6,
    /// §6.2, §4.2.3). The tests call nothing for it. If a pre-vote has the fields of RequestVote, then `pre` in the name of its
    /// method, or of a flag, distinguishes the two.
    PreVote,
    /// A leader transfers its leadership to a chosen server (§3.10): [`labrpc::api::beyond::Transfer`].
    Transfer,
    /// Reads without the log: the leader confirms that it still leads by asking the others (§6.4): [`labrpc::api::beyond::Reads`].
    Reads,
    /// The same, but the leader relies on the clock: a lease (§6.4.1).
    Lease,
    /// Configuration changes: members are added and removed (§4): [`labrpc::api::beyond::Membership`].
    Members,
    /// Flow control: large commands, snapshots and backlogs are sent a little at a time (§10.2). A message has about 20 kB at most,
    /// and a leader refuses commands while a few thousand are waiting. The tests call nothing for it.
    Flow,
}

/// The function of a test, by the kind of thing that it tests.
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
    /// A store whose values have versions, and whose requests may arrive twice.
    Once(fn(&Versions)),
    /// A Raft that can do more than the lab asks for.
    Beyond(Ability, fn(&Cluster)),
    /// A store on a Raft that can do more than the lab asks for.
    Store(Ability, fn(&Texts)),
}

impl LabTest {
    /// Whether the word is the first name of this test, in Rust's or Go's spelling, and the test has another name now.
    pub fn was_called(&self, word: &str) -> bool {
        self.is_ours() && self.is_first_name(word) && !self.is_first_name(self.name)
    }

    fn is_first_name(&self, word: &str) -> bool {
        let word = word.replace('_', "");
        // The names of the services' tests begin with the service, and the Go names do not.
        let service = match self.body {
            Body::Kv(_) => "kv",
            Body::Rsm(_) => "rsm",
            Body::Versioned(_) => "versioned",
            Body::Once(_) => "once",
            Body::Raft(_) | Body::Beyond(..) | Body::Store(..) => "",
        };
        let name = word.strip_prefix(service).unwrap_or(&word);
        word.eq_ignore_ascii_case(self.go_name) || name.eq_ignore_ascii_case(self.go_name)
    }

    /// Whether the Go lab has no such test.
    fn is_ours(&self) -> bool {
        self.part.ends_with('+')
            || matches!(self.body, Body::Beyond(..) | Body::Store(..) | Body::Once(..))
    }

    /// Whether servers are expected to save what Figure 2 calls persistent. In 2A and 2B they need not, because many
    /// learners run these parts before they write persistence.
    pub fn expects_saves(&self) -> bool {
        !self.part.starts_with("2A") && !self.part.starts_with("2B")
    }

    /// Whether the test reports when it [has reached its check](Cluster::reached_check). Our tests do. The Go lab's tests need
    /// not, because they never end before their check.
    pub fn declares_check(&self) -> bool {
        self.part.ends_with('+') || matches!(self.body, Body::Beyond(..) | Body::Store(..))
    }

    /// Whether the test is a storm and nothing else, so that it works with any number of servers.
    pub fn fits_any_size(&self) -> bool {
        nastier::ONLY_STORMS.contains(&self.name)
    }

    /// The same test on this number of servers. This is allowed if the test [fits any size](LabTest::fits_any_size).
    pub fn on(&'static self, servers: usize) -> &'static LabTest {
        /// The tests on other numbers of servers. There are few, and they stay.
        static OTHERS: Mutex<Vec<&'static LabTest>> = Mutex::new(Vec::new());
        if servers == self.setup.servers {
            return self;
        }
        let mut others = OTHERS.lock();
        let is_it = |other: &LabTest| other.name == self.name && other.setup.servers == servers;
        if let Some(other) = others.iter().find(|other| is_it(other)) {
            return other;
        }
        let setup = Setup { servers, members: servers, ..self.setup };
        let other: &'static LabTest = Box::leak(Box::new(LabTest { setup, ..*self }));
        others.push(other);
        other
    }

    /// Whether the members may change, so that the size of a majority may change, too.
    pub fn changes_members(&self) -> bool {
        matches!(self.body, Body::Beyond(Ability::Members, _) | Body::Store(Ability::Members, _))
    }
}

/// The list of a module's tests: `name: "GoName", setup;`.
macro_rules! tests {
    ($part:literal, $body:ident $(($ability:ident))?: $($name:ident = $go_name:literal, $setup:expr;)*) => {
        $crate::suites::lab_test::tests!(TESTS = $part, $body $(($ability))?: $($name = $go_name, $setup;)*);
    };
    ($list:ident = $part:literal, $body:ident: $($name:ident = $go_name:literal, $setup:expr;)*) => {
        /// The tests of this part, in the lab's order.
        pub const $list: &[$crate::suites::lab_test::LabTest] = &[$($crate::suites::lab_test::LabTest {
            part: $part,
            name: stringify!($name),
            go_name: $go_name,
            setup: $setup,
            body: $crate::suites::lab_test::Body::$body($name),
        }),*];
    };
    ($list:ident = $part:literal, $body:ident($ability:ident): $($name:ident = $go_name:literal, $setup:expr;)*) => {
        /// The tests of this part that test this ability.
        pub const $list: &[$crate::suites::lab_test::LabTest] = &[$($crate::suites::lab_test::LabTest {
            part: $part,
            name: stringify!($name),
            go_name: $go_name,
            setup: $setup,
            body: $crate::suites::lab_test::Body::$body($crate::suites::lab_test::Ability::$ability, $name),
        }),*];
    };
}
pub(crate) use tests;
