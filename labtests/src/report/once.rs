//! Messages that are printed once, whoever finds them first.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::{self, Write};

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Prints `text` on standard error, unless this process has already printed something about `topic`. `cargo test` shows the
/// text even if the test passes: the test harness captures what the print macros write, and this does not use them.
pub fn say_once(topic: &str, text: &str) {
    if SAID.lock().insert(topic.into()) {
        // It is not a failure if standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }
}
