//! The names of servers and of their ends.

use labrpc::sync::Arc;
use std::sync::LazyLock;

/// The name of server `i` in reports.
pub fn name(i: usize) -> Arc<str> {
    static NAMES: LazyLock<[Arc<str>; 9]> =
        LazyLock::new(|| std::array::from_fn(|i| format!("S{i}").into()));
    NAMES.get(i).cloned().unwrap_or_else(|| format!("S{i}").into())
}

/// The name of server `i` in its incarnation number `incarnation`: `S0`, then `S0.2`.
pub(crate) fn name_of_incarnation(i: usize, incarnation: u64) -> String {
    if incarnation == 1 { format!("S{i}") } else { format!("S{i}.{incarnation}") }
}

/// The names of servers, for reports.
pub(crate) fn names(servers: &[usize]) -> String {
    servers.iter().map(|&i| name(i).to_string()).collect::<Vec<_>>().join(", ")
}

/// For an end such as `S0.2->S1`: its server, counted from 0; the incarnation, counted from 1; and the server that it leads to.
pub fn parse_end(end: &str) -> Option<(usize, u64, usize)> {
    let (from, to) = end.split_once("->")?;
    let (from, incarnation) = from.split_once('.').unwrap_or((from, "1"));
    let number = |name: &str| name.strip_prefix('S')?.parse().ok();
    Some((number(from)?, incarnation.parse().ok()?, number(to)?))
}
