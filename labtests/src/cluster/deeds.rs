//! What the tester does, for the trace.

use super::name;
use labrpc::trace::{Act, Deed};

/// Something that the tester does to these servers.
pub(crate) fn deed(act: Act, servers: &[usize], text: String) -> Deed {
    Deed { act, who: servers.iter().map(|i| name(*i)).collect(), entry: None, text }
}

/// The tester asked server `i` for its term, and whether it leads.
pub(crate) fn state_seen(i: usize, (term, leads): (u64, bool)) -> Deed {
    let (act, role) = if leads { (Act::Leads, "leads") } else { (Act::Follows, "does not lead") };
    let text = format!("asks {}: it {role}, term {term}", name(i));
    Deed { entry: Some((0, term)), ..deed(act, &[i], text) }
}
