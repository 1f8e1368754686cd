//! The lab's tests, for anybody's Raft, and for anybody's service on one.
//!
//! A test is a function of a [`Cluster`](crate::cluster::Cluster), and sees its servers only through [`labrpc::api::Raft`]; or of a
//! [`Site`](crate::service::Site), through [`labrpc::api::kv`].
//!
//! | room | what |
//! |---|---|
//! | `raft/` | the Go lab's tests of a Raft: 2A to 2D |
//! | `nastier/` | more tests of the same: 2A+ to 2D+ |
//! | `services/` | tests of stores and state machines: 3A to 4C, and with a plus |
//! | `beyond/` | tests of what a Raft can do beyond the lab |
//! | `worlds/` | what these are made of: a stage for schedules, storms, steps |

pub mod beyond;
pub(crate) mod by_name;
pub(crate) mod lab_test;
pub mod nastier;
pub mod raft;
pub mod services;
pub mod worlds;

pub use lab_test::{Body, LabTest};

/// Every test: the Go lab's for a Raft in its order, then ours; then those of services, likewise; then what is beyond the lab.
pub fn all() -> impl Iterator<Item = &'static LabTest> + Clone + Send {
    let lab = raft::LISTS.into_iter().chain(nastier::LISTS).chain(services::LISTS);
    lab.chain(beyond::LISTS).flatten()
}
