//! The lab's test suites, for any Raft.
//!
//! The suites know a Raft only by [`labrpc::api::Raft`] and by its constructor: `make(peers, me, persister, apply_ch)`. Give
//! your own constructor to [`raft_suite!`], and `cargo test` runs the lab. Give it to [`cli::main`], and you have the `raftlab`
//! command for your Raft.
//!
//! ```no_run
//! # mod my_raft {
//! #     use labrpc::{api::*, *}; use labrpc::channel::Sender; use std::sync::Arc;
//! #     pub struct Raft;
//! #     impl labrpc::api::Raft for Raft {
//! #         fn start(&self, _: Command) -> Result<Started, Refused> { Err(Refused::Stopped) }
//! #         fn get_state(&self) -> (u64, bool) { (0, false) }
//! #         fn snapshot(&self, _: u64, _: Snapshot) {}
//! #         fn kill(&self) {}
//! #     }
//! #     impl Raft {
//! #         pub fn make(_: Vec<ClientEnd>, _: usize, _: Persister, _: Sender<ApplyMsg>) -> (Arc<Raft>, Vec<Service>) {
//! #             (Arc::new(Raft), Vec::new())
//! #         }
//! #     }
//! # }
//! // tests/lab.rs
//! labtests::raft_suite!(my_raft::Raft::make);
//!
//! // src/main.rs
//! fn main() -> std::process::ExitCode {
//!     labtests::cli::main(my_raft::Raft::make)
//! }
//! ```
//!
//! # The modules
//!
//! | what | module |
//! |---|---|
//! | the tests | [`suites`] |
//! | the checks that tests call: `one`, `check_one_leader`.. | [`checks`] |
//! | what is under test | [`lab`] |
//! | the servers under test | [`cluster`]; what they applied: [`ledger`]; the servers of a service: [`service`], with its [`clients`] and [`counters`] |
//! | the paper's properties, checked during all tests | [`invariants`] |
//! | reading the messages of an unknown Raft | [`reading`] |
//! | testing a Raft without threads in random worlds | [`mod@fuzz`] |
//! | whether a history is linearizable | [`linearizability`] |
//! | running tests | [`runner`], from the shell: [`cli`], from `cargo test`: [`raft_suite!`] |
//! | guessing what a misspelled word means | [`mod@nearest`] |
//! | stopping early: Ctrl-C | [`interrupt`] |
//! | the short version of a failing run | [`shrink`] |
//! | reporting the results | [`report`] |

// `println!` and `eprintln!` panic if their output can't be written.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod backends;
pub mod checks;
pub mod cli;
pub mod clients;
pub mod cluster;
mod constructors;
pub mod counters;
pub mod fuzz;
pub mod interrupt;
pub mod invariants;
pub mod lab;
pub mod ledger;
mod limits;
pub mod linearizability;
mod names;
pub mod nearest;
mod outcome;
pub mod property;
pub mod reading;
pub mod report;
pub mod runner;
pub mod service;
pub mod shrink;
pub mod story;
mod suite_macros;
pub mod suites;

pub use constructors::{make, make_member};
