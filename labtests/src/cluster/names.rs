//! The names of servers and of their ends.

use labrpc::sync::Arc;
use std::sync::LazyLock;

/// The name of server `i` in reports.
pub fn name(i: usize) -> Arc<str> {
    static NAMES: LazyLock<[Arc<str>; 9]> =
        LazyLock::new(|| std::array::from_fn(|i| format!("S{i}").into()));
    NAMES.get(i).cloned().unwrap_or_else(|| format!("S{i}").into())
}

/// How server `i` calls itself in its life number `life`: `S0`, then `S0.2`.
pub(super) fn name_in_life(i: usize, life: u64) -> String {
    if life == 1 { format!("S{i}") } else { format!("S{i}.{life}") }
}

/// The names of servers, for reports.
pub(crate) fn names(servers: &[usize]) -> String {
    servers.iter().map(|&i| name(i).to_string()).collect::<Vec<_>>().join(", ")
}

/// Whose end that is, from 0; in which life, from 1; and whom it leads to: `S0.2->S1`.
pub fn parse_end(end: &str) -> Option<(usize, u64, usize)> {
    let (from, to) = end.split_once("->")?;
    let (from, life) = from.split_once('.').unwrap_or((from, "1"));
    let number = |name: &str| name.strip_prefix('S')?.parse().ok();
    Some((number(from)?, life.parse().ok()?, number(to)?))
}
