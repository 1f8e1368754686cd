//! Tests the gallery: whether every patch fits, and which test catches each bug.

mod again;
mod cli;
mod hunt;
mod sharpness;
mod table;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
