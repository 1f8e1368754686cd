//! The runtime of the lab: a network that loses, delays and reorders messages, and threads, locks, channels and time that work
//! in two worlds. In the *real* world they are the operating system's. In a [simulation](sim) a seed decides which thread runs
//! next, time is virtual, and the same seed gives the same run.
//!
//! ```
//! use labrpc::{Network, Server, Service, sim, thread};
//! use std::time::Duration;
//!
//! let outcome = sim::run(42, || {
//!     let network = Network::new();
//!     let service = Service::new("Math").method("Square", |x: u64| x * x);
//!     network.add_server("server", Server::new([service]));
//!
//!     let end = network.make_end("client");
//!     network.connect("client", "server");
//!     network.enable("client", true);
//!     let caller = thread::spawn(move || end.call::<_, u64>("Math.Square", &12u64));
//!     assert_eq!(caller.join().unwrap(), Some(144));
//!
//!     let end = network.make_end("another");
//!     let timeout = Duration::from_millis(100);
//!     assert_eq!(end.call_timeout::<_, u64>("Math.Square", &12u64, timeout), None); // never connected
//! });
//! outcome.result.unwrap();
//! ```
//!
//! # The modules
//!
//! | what | module |
//! |---|---|
//! | the interface between the lab and a Raft | [`api`] |
//! | the network; the two sides of a call | [`network`], [`ClientEnd`] and [`Pending`], [`Server`] and [`Service`] |
//! | what survives a crash | [`Persister`] |
//! | the same interfaces as std, parking_lot and crossbeam-channel | [`thread`], [`time`], [`sync`], [`channel`], [`rand`] |
//! | one test's run, simulated or real | [`run`], [`sim`] |
//! | a run's random choices, to edit them | [`tape`] |
//! | what happened | [`trace`], [`describe`], [`logging`] |

// These macros panic if their output can't be written.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod channel;
pub mod codec;
mod context;
pub mod describe;
mod end;
mod failure;
pub mod logging;
pub mod network;
mod persister;
pub mod rand;
mod realm;
pub mod run;
mod sched;
mod server;
pub mod sim;
mod slot;
pub mod sync;
pub mod tape;
pub mod thread;
pub mod time;
pub mod trace;

pub use end::{ClientEnd, Pending, ReplyTo, Request, Transport};
pub use network::Network;
pub use persister::{Memory, Moment, Persister, Saved, Storage};
pub use server::{Server, Service};
