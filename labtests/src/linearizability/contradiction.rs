//! Why a history is not linearizable.

use std::fmt;

/// What can't be brought in order.
#[derive(Debug)]
pub struct Contradiction {
    /// The key.
    pub key: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no order of the operations on key {:?} explains all answers", self.key)
    }
}
