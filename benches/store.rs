//! What the store costs beyond what is in it: 100,000 clients, each with a session and a value of 1,000 bytes. Linux only, for it
//! reads the process's resident memory.
//!
//! ```text
//! cargo bench -p raftlab --bench store
//! ```

use labrpc::api::kv::StateMachine;
use raftlab::kv::store::{Op, Output, Stamp, Store, Write};

const CLIENTS: u64 = 100_000;
const VALUE: usize = 1_000;

fn main() {
    let Some(before) = resident() else {
        println!("there is no /proc/self/statm here: nothing measured");
        return;
    };
    let mut store = Store::default();
    for client in 0..CLIENTS {
        let Output::Session(session) = store.apply(Op::OpenSession { last: None }) else {
            panic!("the store opens a session");
        };
        let (key, value) = (format!("key of {client}"), "v".repeat(VALUE));
        let stamp = Stamp { session, number: 1 };
        let done = store.apply(Op::Write { stamp, key, value, how: Write::Put });
        assert_eq!(done, Output::Done);
    }
    let grown = resident().unwrap_or_default().saturating_sub(before);
    let beyond = (grown as f64 - (CLIENTS as usize * VALUE) as f64) / CLIENTS as f64;
    println!(
        "{CLIENTS} clients with {VALUE} bytes each: {grown} bytes, {beyond:.0} a client beyond the values"
    );
    drop(store);
}

/// The resident memory of this process, in bytes.
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
