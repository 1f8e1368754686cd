//! What is said once, whoever finds it first.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::{self, Write};

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says `text` on standard error, unless this process has said something about `topic` already. `cargo test` shows it,
/// also where the test passes: it captures what the macros print, and this does not use them.
pub fn say_once(topic: &str, text: &str) {
    if SAID.lock().insert(topic.into()) {
        // A closed standard error is no reason to fail.
        let _ = writeln!(io::stderr(), "{text}");
    }
}
