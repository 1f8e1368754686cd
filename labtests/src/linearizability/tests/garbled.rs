//! Files with something wrong in them: a history or an error, and never a panic.

use super::super::{History, Limit};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const TEXTS: &str = r#"{"client":0,"call":0,"return":9,"op":"append","key":"k","value":"é1"}
{"client":1,"call":2,"return":8,"op":"get","key":"k","output":"é1"}
{"client":2,"call":3,"return":null,"op":"put","key":"k","value":"2"}
{"client":1,"call":9,"return":11,"op":"get","key":"k","output":"2é1"}
"#;

const VERSIONED: &str = r#"{"client":0,"call":0,"return":9,"op":"put","key":"k","value":"1","version":0,"result":"ok"}
{"client":1,"call":2,"return":8,"op":"get","key":"k","output":"1","version":1}
{"client":2,"call":3,"return":4,"op":"get","key":"k","result":"no_key"}
{"client":1,"call":9,"return":11,"op":"put","key":"k","value":"2","version":5,"result":"version"}
"#;

/// Pieces that replace parts of a file.
const PIECES: [&[u8]; 18] = [
    b"1",
    b"2",
    b"3",
    b"k",
    b"",
    b"\"",
    b"\n",
    b"}",
    b"{",
    b",",
    b"0",
    b"99999999999999999999",
    b"18446744073709551615",
    b"null",
    b"-1",
    b"\xff",
    b"\"\"",
    b"\"append\"",
];

#[test]
fn garbled_files_are_no_panic() {
    let mut random = Pcg64::seed_from_u64(1);
    let (mut read, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut file = [TEXTS, VERSIONED][round % 2].as_bytes().to_vec();
        for _ in 0..random.random_range(1..=2) {
            let start = random.random_range(0..file.len());
            let end = file.len().min(start + random.random_range(0..3));
            let piece = PIECES[random.random_range(0..PIECES.len())];
            file.splice(start..end, piece.iter().copied());
        }
        match History::read(file.as_slice()) {
            Ok(history) => {
                read += 1;
                history.check(Limit::Steps(10_000));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 500 && refused > 10_000, "{read} read, {refused} refused");
}
