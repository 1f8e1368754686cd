//! What the tests of a Raft are built from.

pub(crate) mod rivals;
pub(crate) mod setups;
pub mod stage;
pub(crate) mod steps;
pub mod storm;
pub(crate) mod threads;
