//! The paper's names, with indices that begin at 0. The paper's index 0 is -1 here.

use super::{Convert, paper};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Index(i64);

impl Convert<u64> for Index {
    fn of(it: u64) -> Index {
        Index(it as i64 - 1)
    }

    fn back(self) -> u64 {
        (self.0 + 1) as u64
    }
}

paper::papers_names!(FromZero, Index);
