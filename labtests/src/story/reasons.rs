//! Why a server refuses a vote or entries, as far as its earlier messages show it.

use super::view::{View, Vote};
use crate::names::name;
use crate::reading::Place;

/// Why a server with this state refuses its vote.
pub fn refused_vote(
    voter: &View,
    reply_term: Option<u64>,
    candidate: usize,
    term: Option<u64>,
    last: Option<Place>,
) -> Option<String> {
    let term = term?;
    if let Some(own) = reply_term.filter(|own| *own > term) {
        return Some(format!("its term is {own} (§5.1)"));
    }
    let same_term = voter.term == Some(term);
    match voter.vote {
        Vote::For(other) if same_term && other != candidate as u64 => {
            return Some(format!("it has voted for S{other} in this term (§5.2)"));
        }
        _ => {}
    }
    let own = Place { index: voter.last_index(), term: voter.term_at(voter.last_index())? };
    let last = last?;
    if last < own {
        return Some(format!(
            "its log is more up-to-date: it ends with {own}, and the candidate's with {last} (§5.4.1)"
        ));
    }
    let free = voter.vote == Vote::Nobody && same_term;
    free.then(|| {
        format!(
            "its reason was not seen. It had saved no vote of this term, and the last entry that was seen in its log is {own}; \
             the candidate's log ends with {last} (§5.4.1)"
        )
    })
}

/// Why a server with this state refuses the entries after `prev`.
pub fn refused_entries(
    follower: &View,
    reply_term: Option<u64>,
    leader: usize,
    term: Option<u64>,
    prev: Option<Place>,
) -> Option<String> {
    if let (Some(own), Some(term)) = (reply_term, term)
        && own > term
    {
        return Some(format!("its term is {own}, so {} is a stale leader (§5.1)", name(leader)));
    }
    if let (Some(said), Some(own)) = (reply_term, follower.term)
        && said < own
    {
        return Some(format!("its reply says term {said}, but it was in term {own} before"));
    }
    let prev = prev?;
    let last = follower.last_index();
    if last < prev.index {
        return Some(match last {
            0 => format!("it has no entry at index {}: its log is empty (§5.3)", prev.index),
            _ => format!(
                "it has no entry at index {}: its log ends at index {last} (§5.3)",
                prev.index
            ),
        });
    }
    match follower.term_at(prev.index) {
        Some(own) if own != prev.term => Some(format!(
            "its entry at index {} is of term {own}, not {} (§5.3)",
            prev.index, prev.term
        )),
        Some(_) => Some(format!("its reason was not seen; its log had {prev} before")),
        None => None,
    }
}
