//! The lab's tests, for any Raft, and for any service that runs on a Raft.
//!
//! A test of a Raft is a function of a [`Cluster`](crate::cluster::Cluster) and sees the servers only through
//! [`labrpc::api::Raft`]. A test of a service is a function of a [`Site`](crate::service::Site) and sees the servers only
//! through [`labrpc::api::kv`].
//!
//! | folder | what |
//! |---|---|
//! | `raft/` | the Go lab's tests of a Raft: 2A to 2D |
//! | `nastier/` | more tests of a Raft: 2A+ to 2D+ |
//! | `services/` | tests of stores and state machines: 3A to 4C, and the same parts with a plus |
//! | `beyond/` | tests of what a Raft can do beyond the lab |
//! | `worlds/` | what the tests are built from: a stage for schedules, storms, steps |

pub mod beyond;
pub(crate) mod by_name;
pub(crate) mod lab_test;
pub mod nastier;
pub mod raft;
pub mod services;
pub mod worlds;

pub use lab_test::{Ability, Body, LabTest};

/// Every test: first those of a Raft (the Go lab's tests in the Go lab's order, then ours), then those of services in the same
/// manner, then those beyond the lab.
pub fn all() -> impl Iterator<Item = &'static LabTest> + Clone + Send {
    let lab = raft::LISTS.into_iter().chain(nastier::LISTS).chain(services::LISTS);
    lab.chain(beyond::LISTS).flatten()
}
