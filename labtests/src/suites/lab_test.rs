//! A test of the lab, and how a file lists its tests.

use crate::clients::{Texts, Versions};
use crate::cluster::{Cluster, Setup};
use crate::counters::Counters;
use crate::lab::Ability;

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
        /// The tests of this part that are for this ability.
        pub const $list: &[$crate::suites::lab_test::LabTest] = &[$($crate::suites::lab_test::LabTest {
            part: $part,
            name: stringify!($name),
            go_name: $go_name,
            setup: $setup,
            body: $crate::suites::lab_test::Body::$body($crate::lab::Ability::$ability, $name),
        }),*];
    };
}
pub(crate) use tests;
