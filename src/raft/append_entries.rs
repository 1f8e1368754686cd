//! Figure 2, "AppendEntries RPC": "invoked by leader to replicate log entries (§5.3); also used as heartbeat
//! (§5.2)".

use super::log::Entry;
use super::state::{Role, State};
use labrpc::time::Instant;
use serde::{Deserialize, Serialize};

/// "Arguments".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "AppendEntries")]
pub struct AppendEntriesArgs {
    /// "Leader's term".
    pub term: u64,
    /// "So follower can redirect clients".
    pub leader_id: usize,
    /// "Index of log entry immediately preceding new ones".
    pub prev_log_index: u64,
    /// "Term of prevLogIndex entry".
    pub prev_log_term: u64,
    /// "Log entries to store (empty for heartbeat; may send more than one for efficiency)".
    pub entries: Vec<Entry>,
    /// "Leader's commitIndex".
    pub leader_commit: u64,
}

/// "Results".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Appended")]
pub struct AppendEntriesReply {
    /// "currentTerm, for leader to update itself".
    pub term: u64,
    /// "True if follower contained entry matching prevLogIndex and prevLogTerm".
    pub success: bool,
    /// If the follower rejects the entries because the logs differ: where the logs may begin to differ.
    pub conflict: Option<Conflict>,
}

/// §5.3: "the follower can include the term of the conflicting entry and the first index it stores for that
/// term", so that the leader needs one rejected call for each conflicting term, and not one for each conflicting entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The term that the follower has at prevLogIndex; `None` if its log is shorter.
    pub term: Option<u64>,
    /// The first index of that term in the follower's log; if that log is shorter, the index after its last entry.
    pub index: u64,
}

impl State {
    /// The request for a server whose log, as far as we know, agrees with our log before `next_index`.
    pub fn append_entries_args(&self, next_index: u64) -> AppendEntriesArgs {
        let prev_log_index = next_index - 1;
        let prev_log_term = self.log.term_at(prev_log_index);
        AppendEntriesArgs {
            term: self.current_term,
            leader_id: self.me,
            prev_log_index,
            prev_log_term: prev_log_term.expect("older entries are sent as the snapshot"),
            entries: self.log.batch(prev_log_index, self.options.max_batch).to_vec(),
            leader_commit: self.commit_index,
        }
    }

    /// "Receiver implementation".
    pub fn handle_append_entries(
        &mut self,
        args: AppendEntriesArgs,
        now: Instant,
    ) -> AppendEntriesReply {
        if self.beyond_refuses(&args, now) {
            return self.append_reply(false, None);
        }
        self.update_term(args.term, now);
        // 1. "Reply false if term < currentTerm (§5.1)".
        if args.term < self.current_term {
            return self.append_reply(false, None);
        }
        debug_assert!(!self.is_leader(), "Election Safety: another server leads our term");
        // Candidates: "If AppendEntries RPC received from new leader: convert to follower".
        self.hear_leader(args.leader_id, now);
        // 2. "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm (§5.3)".
        if let Some(conflict) = self.conflict_with(&args) {
            return self.append_reply(false, Some(conflict));
        }
        let last_new_index = args.prev_log_index + args.entries.len() as u64;
        self.store_new(args.prev_log_index, args.entries);
        // 5. "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
        //    Entries after that one may still differ from the leader's log.
        self.commit_index = self.commit_index.max(args.leader_commit.min(last_new_index));
        self.drop_chunks(last_new_index);
        self.append_reply(true, None)
    }

    fn append_reply(&mut self, success: bool, conflict: Option<Conflict>) -> AppendEntriesReply {
        self.persist();
        AppendEntriesReply { term: self.current_term, success, conflict }
    }

    fn conflict_with(&self, args: &AppendEntriesArgs) -> Option<Conflict> {
        let index = args.prev_log_index;
        if index < self.log.last_included_index() {
            return None; // the snapshot covers only committed entries, so they agree
        }
        match self.log.term_at(index) {
            Some(term) if term == args.prev_log_term => None,
            Some(term) => Some(Conflict { term: Some(term), index: self.log.first_of_term(index) }),
            None => Some(Conflict { term: None, index: self.log.last_index() + 1 }),
        }
    }

    fn store_new(&mut self, prev_log_index: u64, entries: Vec<Entry>) {
        for (index, entry) in (prev_log_index + 1..).zip(entries) {
            if index <= self.log.last_included_index() {
                continue; // the snapshot covers it
            }
            // 3. "If an existing entry conflicts with a new one (same index but different terms), delete the existing
            //    entry and all that follow it (§5.3)". Without a conflict, nothing is deleted: a shorter message that
            //    comes late must not delete entries that have been acknowledged since.
            if self.log.term_at(index).is_some_and(|term| term != entry.term) {
                debug_assert!(
                    index > self.commit_index,
                    "a committed entry never conflicts with a new one"
                );
                self.log.truncate_after(index - 1);
            }
            // 4. "Append any new entries not already in the log".
            if index > self.log.last_index() {
                self.log.append(entry);
            }
        }
    }

    /// What the leader does with the reply of a follower.
    pub fn handle_append_entries_reply(
        &mut self,
        peer: usize,
        args: &AppendEntriesArgs,
        reply: &AppendEntriesReply,
        now: Instant,
    ) {
        if !self.observe_reply(args.term, reply.term, now) {
            return;
        }
        if reply.success {
            // The follower has what this call carried, but perhaps not what the leader has appended since.
            self.note_match(peer, args.prev_log_index + args.entries.len() as u64);
        } else if let Some(conflict) = &reply.conflict
            && let Role::Leader { progress, .. } = &mut self.role
        {
            // "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry (§5.3)".
            let ours = conflict.term.and_then(|term| self.log.last_of_term(term));
            let next = ours.map_or(conflict.index, |last| last.min(args.prev_log_index) + 1);
            let next = next.min(args.prev_log_index); // so that each rejection makes progress
            let next = next.max(progress[peer].match_index + 1);
            progress[peer].next_index = next;
            // If a follower has acknowledged an entry, but rejects what follows it, the follower has lost that entry, against all
            // rules. The leader asks it again, but only after a pause.
            self.sent[peer].unanswered |= next > args.prev_log_index;
            self.start_probing(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::Reply;
    use super::super::messages::Next;
    use super::super::tests::{Server, at_ms, entries, progress};
    use super::*;

    /// Entries of these terms after `prev` (an index and its term), from the leader of `term`.
    fn append(term: u64, prev: (u64, u64), terms: &[u64], leader_commit: u64) -> AppendEntriesArgs {
        AppendEntriesArgs {
            term,
            leader_id: 1,
            prev_log_index: prev.0,
            prev_log_term: prev.1,
            entries: entries(terms),
            leader_commit,
        }
    }

    fn terms(state: &State) -> Vec<u64> {
        state.log.after(0).iter().map(|entry| entry.term).collect()
    }

    fn handle(state: &mut State, args: AppendEntriesArgs) -> AppendEntriesReply {
        state.handle_append_entries(args, at_ms(0))
    }

    #[test]
    fn step_1_an_old_leader_is_refused_and_not_followed() {
        let mut state = Server::new(3).log(&[1]).term(5).build();
        let deadline = state.election_deadline;
        let reply = state.handle_append_entries(append(4, (1, 1), &[4], 2), at_ms(9_000));
        assert_eq!((reply.term, reply.success, terms(&state)), (5, false, vec![1]));
        assert_eq!((state.leader(), state.election_deadline), (None, deadline));
    }

    #[test]
    fn step_2_a_gap_or_another_term_is_refused_with_a_hint() {
        let mut state = Server::new(3).log(&[1, 4, 4]).term(6).build();
        let reply = handle(&mut state, append(6, (5, 6), &[6], 0));
        assert_eq!(reply.conflict, Some(Conflict { term: None, index: 4 }));
        let reply = handle(&mut state, append(6, (3, 5), &[6], 0));
        assert_eq!(reply.conflict, Some(Conflict { term: Some(4), index: 2 }));
        assert_eq!(terms(&state), [1, 4, 4]);
    }

    #[test]
    fn step_2_holds_for_heartbeats_too() {
        let mut state = Server::new(3).log(&[1, 1]).term(3).build();
        let reply = handle(&mut state, append(3, (2, 2), &[], 2));
        assert!(!reply.success);
        assert_eq!(state.commit_index, 0);
    }

    /// The six followers of Figure 7; the leader of term 8 has the log 1 1 1 4 4 5 5 6 6 6.
    #[test]
    fn steps_3_and_4_repair_every_follower_of_figure_7() {
        let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
        let followers: [&[u64]; 6] = [
            &[1, 1, 1, 4, 4, 5, 5, 6, 6],
            &[1, 1, 1, 4],
            &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
            &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
            &[1, 1, 1, 4, 4, 4, 4],
            &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        ];
        for log in followers {
            let mut leader = Server::new(2).log(&leader).leader_of_term(8).build();
            leader.start(Default::default()).unwrap();
            let mut follower = Server::new(2).log(log).term(7).build();
            follower.me = 1;
            let mut calls = 0;
            while !matches!(&leader.role, Role::Leader { progress, .. } if progress[1].match_index == 11)
            {
                let progress = progress(&leader);
                let args = leader.append_entries_args(progress[1].next_index);
                let reply = follower.handle_append_entries(args.clone(), at_ms(0));
                leader.handle_append_entries_reply(1, &args, &reply, at_ms(0));
                calls += 1;
            }
            assert_eq!(terms(&follower), terms(&leader), "from {log:?}");
            assert!(calls <= 4, "{calls} calls for {log:?}: one for each term is enough");
        }
    }

    #[test]
    fn step_3_a_late_message_deletes_no_entries() {
        let mut state = Server::new(3).term(1).build();
        handle(&mut state, append(1, (0, 0), &[1, 1, 1], 0));
        assert!(handle(&mut state, append(1, (0, 0), &[1], 0)).success);
        assert!(handle(&mut state, append(1, (1, 1), &[], 0)).success);
        assert_eq!(terms(&state), [1, 1, 1]);
    }

    #[test]
    fn step_5_a_follower_commits_no_further_than_the_last_new_entry() {
        let mut state = Server::new(3).log(&[1, 1, 1]).term(2).build();
        handle(&mut state, append(2, (1, 1), &[1], 9));
        assert_eq!(state.commit_index, 2, "entry 3 may not be the leader's");
        handle(&mut state, append(2, (1, 1), &[], 1));
        assert_eq!(state.commit_index, 2, "the commit index never goes back");
    }

    #[test]
    fn everything_is_saved_before_the_reply() {
        let mut state = Server::new(3).build();
        handle(&mut state, append(2, (0, 0), &[1, 2], 0));
        assert!(state.is_persisted());
    }

    #[test]
    fn a_candidate_follows_the_leader_of_its_term() {
        let mut state = Server::new(3).build();
        state.become_candidate(at_ms(0));
        handle(&mut state, append(1, (0, 0), &[], 0));
        assert_eq!(state.role, Role::Follower { leader: Some(1) });
        assert_eq!(state.voted_for, Some(0), "it has voted in this term");
    }

    #[test]
    fn entries_that_the_snapshot_covers_count_as_present() {
        let mut state = Server::new(3).log(&[1, 1, 1, 1]).term(1).snapshot_to(3).build();
        assert!(handle(&mut state, append(1, (1, 1), &[1, 1, 1, 1], 5)).success);
        assert_eq!((state.log.last_index(), state.commit_index), (5, 5));
    }

    #[test]
    fn late_and_duplicated_replies_take_nothing_back() {
        let mut state = Server::new(3).leader_of_term(1).build();
        for _ in 0..3 {
            state.start(Default::default()).unwrap();
        }
        let long = append(1, (0, 0), &[1, 1, 1], 0);
        let short = append(1, (0, 0), &[1], 0);
        let yes = AppendEntriesReply { term: 1, success: true, conflict: None };
        state.handle_append_entries_reply(1, &long, &yes, at_ms(0));
        state.handle_append_entries_reply(1, &short, &yes, at_ms(0));
        let no = Conflict { term: None, index: 1 };
        let no = AppendEntriesReply { term: 1, success: false, conflict: Some(no) };
        state.handle_append_entries_reply(1, &short, &no, at_ms(0));
        let progress = progress(&state);
        assert_eq!((progress[1].match_index, progress[1].next_index), (3, 4));
        assert_eq!(state.commit_index, 3);
    }

    #[test]
    fn a_reply_acknowledges_only_what_its_call_carried() {
        let mut state = Server::new(3).leader_of_term(1).build();
        state.start(Default::default()).unwrap();
        let args = state.append_entries_args(1);
        state.start(Default::default()).unwrap();
        let yes = AppendEntriesReply { term: 1, success: true, conflict: None };
        state.handle_append_entries_reply(1, &args, &yes, at_ms(0));
        let progress = progress(&state);
        assert_eq!((progress[1].match_index, progress[1].next_index), (1, 2));
        assert_eq!(state.commit_index, 1);
    }

    /// §5.3: where the leader has entries of the conflicting term, the logs may agree up to the last of them.
    #[test]
    fn next_index_goes_back_one_conflicting_term_at_a_time() {
        let mut state = Server::new(3).log(&[1, 1, 4, 4, 4, 6]).leader_of_term(7).build();
        let args = state.append_entries_args(7);
        let no = |term, index| {
            let conflict = Some(Conflict { term, index });
            AppendEntriesReply { term: 7, success: false, conflict }
        };
        let next = |state: &State| match &state.role {
            Role::Leader { progress, .. } => progress[1].next_index,
            _ => unreachable!(),
        };
        state.handle_append_entries_reply(1, &args, &no(Some(4), 3), at_ms(0));
        assert_eq!(next(&state), 6, "we have entries of term 4, up to index 5");
        state.handle_append_entries_reply(1, &args, &no(Some(3), 2), at_ms(0));
        assert_eq!(next(&state), 2, "we have none of term 3");
        state.handle_append_entries_reply(1, &args, &no(None, 4), at_ms(0));
        assert_eq!(next(&state), 4, "the follower's log ends at index 3");
    }

    /// A server that has lost an entry that it acknowledged breaks the rules, but it must not keep the network busy.
    #[test]
    fn a_server_that_has_lost_what_it_acknowledged_is_asked_again_after_pauses() {
        let mut state = Server::new(3).log(&[1, 1]).leader_of_term(2).build();
        state.note_match(1, 2);
        for ms in [0, 30, 60] {
            let Next::Send(message, ticket) = state.next_message(1, at_ms(ms)) else {
                panic!("it is asked again after a pause of 30 ms");
            };
            let conflict = Some(Conflict { term: None, index: 1 });
            let no = AppendEntriesReply { term: 2, success: false, conflict };
            state.handle_reply(1, ticket, &message, &Reply::AppendEntries(no), at_ms(ms + 1));
            assert_eq!(progress(&state)[1].next_index, 3);
            assert_eq!(state.next_message(1, at_ms(ms + 1)), Next::WaitUntil(at_ms(ms + 30)));
        }
    }

    #[test]
    fn entries_that_do_not_fit_reset_the_election_timer_too() {
        let mut state = Server::new(3).term(3).build();
        state.handle_append_entries(append(3, (7, 3), &[], 0), at_ms(9_000));
        assert!(state.election_deadline >= at_ms(9_500));
    }

    #[test]
    fn a_deposed_leader_waits_before_it_becomes_a_candidate() {
        let mut state = Server::new(3).leader_of_term(1).build();
        let no = AppendEntriesReply { term: 2, success: false, conflict: None };
        let args = state.append_entries_args(1);
        state.handle_append_entries_reply(1, &args, &no, at_ms(9_000));
        assert!(!state.is_leader() && !state.election_due(at_ms(9_499)));
    }

    #[test]
    fn replies_to_an_earlier_leadership_do_not_count() {
        let mut state = Server::new(3).log(&[1, 1]).leader_of_term(4).build();
        let old = append(1, (0, 0), &[1, 1], 0);
        let yes = AppendEntriesReply { term: 1, success: true, conflict: None };
        state.handle_append_entries_reply(1, &old, &yes, at_ms(0));
        let progress = progress(&state);
        assert_eq!(progress[1].match_index, 0);
    }
}
