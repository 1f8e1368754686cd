//! Measures how much the tests depend on names: whether a bug is still caught in a Raft whose fields have other names.

use crate::again::is_caught;
use gallery::patch::Patch;
use gallery::record::Caught;
use std::collections::BTreeMap;
use std::path::Path;

/// Spellings that people use. With these, every bug must still be caught.
const SPELT: [(&str, &str); 3] = [
    (
        "one public spelling",
        "RequestVote.term=candidate_term,candidate_id=candidate_index,last_log_index=candidate_last_log_index,\
         last_log_term=candidate_last_log_term,vote_granted=granted,AppendEntries.term=leader_term,\
         leader_id=leader_index,prev_log_index=pre_log_index,prev_log_term=pre_log_term,entries=logs,\
         leader_commit=commit_index,success=ok,last_included_index=last_include_index,\
         last_included_term=last_include_term,voted_for=vote_for,Entry.term=log_term,x_index=next_index",
    ),
    (
        "another",
        "vote_granted=vote,prev_log_index=PreviousLogIndex,prev_log_term=PreviousLogTerm,entries=LogEntries,\
         leader_commit=LeaderCommitIndex,success=succ,last_included_index=LastSnapshotIndex,\
         last_included_term=LastSnapshotTerm,x_term=ConflictTerm,x_index=ConflictIndex,current_term=term,\
         InstallSnapshot.term=leader_term,InstallSnapshotReply.term=follower_term",
    ),
    (
        "a third",
        "vote_granted=IsVote,entries=log,last_included_index=LastIncludedLogIndex,last_included_term=LastIncludedLogTerm,Entry.term=entry_term",
    ),
];

/// Unknown names, one at a time. With each of them most bugs must still be caught.
const UNLISTED: [&str; 19] = [
    "RequestVote.term=zz",
    "last_log_index=zz",
    "last_log_term=zz",
    "RequestVoteReply.term=zz",
    "vote_granted=zz",
    "AppendEntries.term=zz",
    "prev_log_index=zz",
    "prev_log_term=zz",
    "entries=zz",
    "Entry.term=zz",
    "leader_commit=zz",
    "AppendEntriesReply.term=zz",
    "success=zz",
    "InstallSnapshot.term=zz",
    "last_included_index=zz",
    "last_included_term=zz",
    "InstallSnapshotReply.term=zz",
    "current_term=zz",
    "voted_for=zz",
];

/// With any one unknown name, this percentage of the bugs must still be caught, under the same seed as without it.
const WANTED: usize = 90;

/// Which bugs were missed, by what was renamed.
#[derive(Default)]
pub struct Sharpness {
    tried: usize,
    lost: BTreeMap<&'static str, Vec<String>>,
    wrong: Vec<String>,
}

impl Sharpness {
    /// Tries a bug's program under the seed that caught it, with each renaming. Returns a line about it.
    pub fn try_bug(&mut self, patch: &Patch, program: &Path, caught: &Caught) -> String {
        let lost = match lost(program, caught) {
            Ok(lost) => lost,
            Err(wrong) => {
                let line = format!("{:<28} could not be tested: {wrong}", patch.name);
                self.wrong.push(line.clone());
                return line;
            }
        };
        self.tried += 1;
        lost.iter().for_each(|title| self.lost.entry(title).or_default().push(patch.name.clone()));
        let all = SPELT.len() + UNLISTED.len();
        let but = if lost.is_empty() {
            String::new()
        } else {
            format!(", but not with {}", lost.join(", "))
        };
        format!("{:<28} caught with {} of {all} renamings{but}", patch.name, all - lost.len())
    }

    /// Whether few enough bugs were missed, with a text about them.
    pub fn summary(&self) -> (bool, String) {
        let mut well = self.wrong.is_empty();
        let mut text = format!("{} bugs, each under the seed that caught it\n", self.tried);
        let spelt = SPELT.iter().map(|(title, _)| (*title, 100));
        for (title, wanted) in spelt.chain(UNLISTED.map(|rename| (rename, WANTED))) {
            let lost = self.lost.get(title).map(Vec::as_slice).unwrap_or_default();
            let caught = self.tried - lost.len();
            let enough = caught * 100 >= self.tried * wanted;
            well &= enough;
            let few = if enough { "" } else { " TOO FEW" };
            text += &format!("{title:<32} {caught:>3} caught{few} {}\n", lost.join(" "));
        }
        self.wrong.iter().for_each(|line| text += &format!("{line}\n"));
        (well, text)
    }
}

/// The renamings with which the bug isn't caught.
fn lost(program: &Path, caught: &Caught) -> Result<Vec<&'static str>, String> {
    let unlisted = UNLISTED.map(|rename| (rename, rename));
    let mut lost = Vec::new();
    for (title, renames) in SPELT.into_iter().chain(unlisted) {
        if !is_caught(program, &caught.test, caught.seed, renames)? {
            lost.push(title);
        }
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use labtests::reading::Renamed;

    #[test]
    fn all_renamings_are_some() {
        let all = SPELT.iter().map(|(_, renames)| *renames).chain(UNLISTED);
        for renames in all {
            renames.parse::<Renamed>().unwrap_or_else(|error| panic!("{renames}: {error}"));
        }
    }

    #[test]
    fn a_spelling_loses_nothing_and_a_new_name_little() {
        let lost = |title, bugs: usize| Sharpness {
            tried: 10,
            lost: BTreeMap::from([(title, vec!["bug".to_string(); bugs])]),
            wrong: Vec::new(),
        };
        assert!(lost("success=zz", 1).summary().0);
        assert!(!lost("success=zz", 2).summary().0);
        assert!(!lost("another", 1).summary().0);
        assert!(lost("success=zz", 2).summary().1.contains("8 caught TOO FEW bug bug"));
    }
}
