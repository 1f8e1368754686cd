//! `log` lines that say when, where and who: virtual time, server and thread.

use crate::run;
use std::io::Write;

/// Sends `log` lines to standard error through env_logger, as `RUST_LOG` says; also under `cargo test`. May be
/// called often.
///
/// ```text
///   1203.517 ms S1/ticker       DEBUG becomes candidate in term 4
/// ```
pub fn init() {
    let mut builder = env_logger::Builder::from_default_env();
    builder.is_test(cfg!(test) || std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    builder.format(|out, record| {
        let level = record.level();
        match run::here() {
            Some(here) => {
                let ms = here.world.now().as_secs_f64() * 1e3;
                writeln!(out, "{ms:>12.3} ms {:<16} {level:<5} {}", here.title(), record.args())
            }
            None => writeln!(out, "{:>16} {level:<5} {}", "", record.args()),
        }
    });
    let _ = builder.try_init();
}
