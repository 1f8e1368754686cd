//! A Raft to read, and to compare your own with.
//!
//! Read [`raft`] first: it is Figure 2 of the paper as a file tree. Then read [`kv`], a store that is built on it. The runtime
//! under both (threads, time, the lab's network) is the crate [`labrpc`]. The tests that both pass, and that yours may pass, are
//! in the crate `labtests`.

// `println!` and `eprintln!` panic if their output cannot be written.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod kv;
pub mod raft;
