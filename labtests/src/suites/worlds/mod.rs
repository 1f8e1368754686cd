//! What the tests of a Raft are made of.

pub(crate) mod rivals;
pub(crate) mod setups;
pub mod stage;
pub(crate) mod steps;
pub mod storm;
pub(crate) mod threads;
