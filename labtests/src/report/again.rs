//! The command that makes a run again.

use super::Again;
use crate::outcome::World;
use crate::suites::LabTest;

impl Again {
    /// The command that makes this run again. On real threads it may end in another way.
    pub fn command(&self, world: World, test: &LabTest, seed: u64) -> String {
        let name = test.name;
        match (world, self) {
            (World::Simulated, Again::CargoTest) => format!("LAB_SEED={seed} cargo test {name}"),
            (World::Simulated, Again::Command(program)) => {
                format!("{program} replay {seed} {name}")
            }
            (World::Real, Again::CargoTest) => {
                format!("LAB_REAL=1 LAB_SEED={seed} cargo test {name}")
            }
            (World::Real, Again::Command(program)) => {
                format!("{program} test {name} --real --seed {seed}")
            }
        }
    }
}
