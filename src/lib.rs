//! A Raft to read and to test against.
//!
//! Reading order: [`raft`], which is Figure 2 of the paper as a file tree; then [`kv`], a store built on it. The floor that it stands on (threads, time, the
//! lab's network) is the crate [`labrpc`]; the tests that it passes, and yours may, are the crate `labtests`.

// The macros panic where what they print can't be written.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod kv;
pub mod raft;
