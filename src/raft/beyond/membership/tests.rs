use super::*;
use crate::raft::tests::{Server, at_ms, elect};
use labrpc::api::Command;

/// Three of five servers are members. Server 0 leads, and an entry of its term is committed.
pub fn leader() -> State {
    let mut state = Server::new(5).members(&[0, 1, 2]).leader_of_term(1).build();
    state.start(Command::default()).unwrap();
    state.note_match(1, 1);
    state
}

pub fn look(
    state: &mut State,
    handle: &mut ChangeHandle,
    ms: u64,
) -> Option<Result<(), NotChanged>> {
    state.advance_change(handle, at_ms(ms)).break_value()
}

pub fn members(state: &State) -> Vec<usize> {
    state.log.members().iter().copied().collect()
}

#[test]
fn a_server_is_added_when_it_has_caught_up_and_counts_at_once() {
    let mut state = leader();
    let mut adding = state.begin_change(ChangeRequest::Add(3), at_ms(0)).unwrap();
    assert_eq!(look(&mut state, &mut adding, 1), None);
    assert!(
        state.replicates_to(3) && members(&state) == [0, 1, 2],
        "it gets the log, and doesn't count"
    );
    state.note_match(3, 1);
    assert_eq!(look(&mut state, &mut adding, 2), None);
    assert_eq!((members(&state), state.commit_index), (vec![0, 1, 2, 3], 1), "it counts on append");
    state.note_match(1, 2);
    assert_eq!(look(&mut state, &mut adding, 3), None, "two of four are no majority");
    state.note_match(3, 2);
    assert_eq!(look(&mut state, &mut adding, 4), Some(Ok(())));
}

/// Ongaro, 2015: otherwise a configuration of an earlier term may still be committed besides the new one.
#[test]
fn a_change_waits_until_an_entry_of_the_leaders_term_is_committed() {
    let mut state = Server::new(3).log(&[1]).leader_of_term(2).build();
    let mut removing = state.begin_change(ChangeRequest::Remove(2), at_ms(0)).unwrap();
    assert_eq!(look(&mut state, &mut removing, 1), None);
    assert_eq!((members(&state), state.log.last_index()), (vec![0, 1, 2], 2), "a no-op");
    state.note_match(1, 2);
    assert_eq!(look(&mut state, &mut removing, 2), None);
    assert_eq!(members(&state), [0, 1]);
}

#[test]
fn the_next_change_waits_for_the_first_one_also_after_an_election() {
    let mut state = leader();
    let mut removing = state.begin_change(ChangeRequest::Remove(2), at_ms(0)).unwrap();
    let under_way = Some(NotChanged::UnderWay);
    assert_eq!(state.begin_change(ChangeRequest::Add(3), at_ms(1)).err(), under_way);
    look(&mut state, &mut removing, 2);
    for request in [ChangeRequest::Add(3), ChangeRequest::Remove(2)] {
        assert_eq!(state.begin_change(request, at_ms(3)).err(), under_way, "not committed");
    }
    let mut next = Server::restarted(&state);
    elect(&mut next);
    let mut adding = next.begin_change(ChangeRequest::Add(3), at_ms(5)).unwrap();
    assert_eq!(look(&mut next, &mut adding, 6), None, "the first change is to be committed first");
    assert_eq!((members(&next), next.log.last_term()), (vec![0, 1], 2), "with a no-op");
}

#[test]
fn a_change_that_an_earlier_leader_has_left_is_not_made_again() {
    let mut state = leader();
    let mut removing = state.begin_change(ChangeRequest::Remove(2), at_ms(0)).unwrap();
    look(&mut state, &mut removing, 1);
    let mut next = Server::restarted(&state);
    elect(&mut next);
    let mut again = next.begin_change(ChangeRequest::Remove(2), at_ms(5)).unwrap();
    assert_eq!(look(&mut next, &mut again, 6), None);
    next.note_match(1, next.log.last_index());
    assert_eq!(look(&mut next, &mut again, 7), Some(Err(NotChanged::NotMember)));
}

#[test]
fn a_killed_server_changes_nothing() {
    for mut state in [leader(), Server::new(3).build()] {
        state.killed = true;
        let refused = state.begin_change(ChangeRequest::Add(3), at_ms(0));
        assert_eq!(refused.err(), Some(NotChanged::Stopped));
    }
}

#[test]
fn a_leader_that_removes_itself_leads_until_its_removal_is_committed() {
    let mut state = leader();
    let mut removing = state.begin_change(ChangeRequest::Remove(0), at_ms(0)).unwrap();
    look(&mut state, &mut removing, 1);
    assert_eq!(members(&state), [1, 2]);
    state.note_match(1, 2);
    assert!(state.is_leader() && state.commit_index == 1, "it doesn't count itself");
    state.note_match(2, 2);
    assert!(!state.is_leader() && state.commit_index == 2);
    assert_eq!(look(&mut state, &mut removing, 2), Some(Ok(())));
    assert!(!state.election_due(at_ms(99_000)), "it never becomes a candidate");
    assert!(!Server::restarted(&state).election_due(at_ms(99_000)), "nor after a restart");
    state.take_committed();
    state.snapshot(1, Default::default()); // from before its removal
    assert!(!Server::restarted(&state).election_due(at_ms(99_000)), "nor after a snapshot");
}

#[test]
fn invalid_requests_are_refused_with_the_reason() {
    let mut state = leader();
    let cases = [
        (ChangeRequest::Add(5), NotChanged::NoSuchServer),
        (ChangeRequest::Remove(usize::MAX), NotChanged::NoSuchServer),
        (ChangeRequest::Add(1), NotChanged::Member),
        (ChangeRequest::Remove(3), NotChanged::NotMember),
    ];
    for (request, why) in cases {
        assert_eq!(state.begin_change(request, at_ms(0)).err(), Some(why), "{request:?}");
    }
    let mut alone = Server::new(2).members(&[0]).leader_of_term(1).build();
    assert_eq!(
        alone.begin_change(ChangeRequest::Remove(0), at_ms(0)).err(),
        Some(NotChanged::LastMember)
    );
    let refused = NotChanged::NotLeader { leader: None };
    let mut follower = Server::new(3).build();
    assert_eq!(follower.begin_change(ChangeRequest::Remove(1), at_ms(0)).err(), Some(refused));
}

#[test]
fn a_change_whose_entry_is_truncated_is_undone() {
    let mut state = leader();
    let mut removing = state.begin_change(ChangeRequest::Remove(2), at_ms(0)).unwrap();
    look(&mut state, &mut removing, 1);
    state.update_term(2, at_ms(2));
    assert_eq!(look(&mut state, &mut removing, 3), Some(Err(NotChanged::TimedOut)));
    state.log.truncate_after(1);
    assert_eq!(members(&state), [0, 1, 2]);
}

#[test]
fn the_members_are_in_the_snapshot_and_survive_a_restart() {
    let mut state = leader();
    let mut removing = state.begin_change(ChangeRequest::Remove(2), at_ms(0)).unwrap();
    look(&mut state, &mut removing, 1);
    state.note_match(1, 2);
    state.take_committed();
    state.snapshot(2, Default::default());
    let state = Server::restarted(&state);
    assert_eq!(members(&state), [0, 1]);
}

/// Thesis, Figure 4.6: there are two members. The leader removes itself, and the other member does not have that entry. The
/// other member cannot be elected, because its log is shorter.
#[test]
fn a_removed_server_may_become_a_candidate_until_its_removal_is_committed() {
    let mut state = Server::new(2).leader_of_term(1).build();
    state.start(Command::default()).unwrap();
    state.note_match(1, 1);
    let mut removing = state.begin_change(ChangeRequest::Remove(0), at_ms(0)).unwrap();
    look(&mut state, &mut removing, 1);
    state.become_follower(None, at_ms(2));
    assert_eq!(members(&state), [1]);
    assert!(state.election_due(at_ms(9_000)), "its removal is not committed");
    elect(&mut state);
    assert!(state.is_leader(), "by the vote of the only member");
    state.note_match(1, 2);
    assert!(state.is_leader(), "no entry of its own term is committed yet (§5.4.2)");
    state.note_match(1, 3);
    assert!(!state.is_leader(), "its removal is committed with its no-op");
}
