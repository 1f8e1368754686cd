//! A Raft without a lock: one thread owns all state, and everything that happens is an event in its inbox. Compare it with
//! `go_shape`, which is the same Raft with one mutex.
//!
//! | thread | waits for | tells the loop |
//! |---|---|---|
//! | the loop | its inbox, or the service to accept the next message | |
//! | timer | a deadline, or a new deadline | that a deadline has come |
//! | courier, one for each peer | a letter, then its reply or the next letter | the reply |
//! | a handler, for each RPC | the loop's answer | the request |
//!
//! What differs from the textbook:
//!
//! - There is no applier. While the loop waits for an event, a `select!` offers the next committed entry to the service. So a
//!   slow service blocks no thread, and `snapshot`, which the service calls, cannot deadlock.
//! - There is no mutex, so nothing can change between two lines of a handler. But a `get_state` has to wait its turn.
//! - A leader has one letter on its way to each peer. What is added in the meantime is sent with the next letter.
//!
//! A [`Shape`] says in what other ways a correct Raft may differ. The variable `EVENT_LOOP` changes the shape; it holds names,
//! separated by commas. By default, no field of a message has the paper's name.
//!
//! ```sh
//! cargo run --release -p labtests --example event_loop -- --seeds 20
//! EVENT_LOOP=paper_names,cond_install cargo run --release -p labtests --example event_loop -- 2D 2D+
//! ```

mod raft;

use labtests::cli::Program;
use labtests::lab::Lab;
use raft::EventLoop;
use raft::shape::Shape;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let names = std::env::var("EVENT_LOOP").unwrap_or_default();
    let shape = match Shape::named(&names) {
        Ok(shape) => shape,
        Err(name) => {
            let names = Shape::NAMES.join(", ");
            let _ =
                writeln!(io::stderr(), "error: EVENT_LOOP has {name:?}, which is none of {names}");
            return ExitCode::from(2);
        }
    };
    let lab = Lab::new().raft(move |peers, me, persister, apply_ch| {
        EventLoop::make(shape.clone(), peers, me, persister, apply_ch)
    });
    Program::new(lab).variables(&["EVENT_LOOP"]).main()
}
