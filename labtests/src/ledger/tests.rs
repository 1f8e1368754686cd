use super::*;

fn apply(index: u64, value: u64) -> ApplyMsg {
    ApplyMsg::Command { index, term: 1, command: command(value) }
}

/// A ledger of two servers in their first incarnations.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(2);
    assert_eq!([0, 1].map(|server| ledger.begin_incarnation(server, None)), [Ok(1), Ok(1)]);
    ledger
}

#[test]
fn two_values_at_one_index_are_caught_also_after_a_crash() {
    let mut ledger = ledger();
    ledger.applied(0, 1, apply(1, 7), None).unwrap();
    let error = ledger.applied(1, 1, apply(1, 8), None).unwrap_err();
    assert!(error.contains("State Machine Safety"), "{error}");
    ledger.end_incarnation(0);
    let incarnation = ledger.begin_incarnation(0, None).unwrap();
    assert!(ledger.applied(0, incarnation, apply(1, 8), None).is_err());
}

#[test]
fn gaps_and_repetitions_are_caught() {
    let mut ledger = ledger();
    ledger.applied(0, 1, apply(1, 7), None).unwrap();
    assert!(ledger.applied(0, 1, apply(1, 7), None).is_err());
    assert!(ledger.applied(0, 1, apply(3, 9), None).is_err());
    assert!(ledger.applied(1, 1, apply(2, 9), None).is_err());
}

#[test]
fn a_command_where_another_had_an_entry_of_rafts_own_is_caught() {
    let mut ledger = ledger();
    ledger.applied(0, 1, apply(1, 7), None).unwrap();
    let error = ledger.applied(1, 1, ApplyMsg::Internal { index: 1, term: 1 }, None);
    assert!(error.unwrap_err().contains("State Machine Safety"));
}

#[test]
fn a_snapshot_with_a_hole_or_a_false_command_is_caught_also_at_a_restart() {
    let snapshot = |index: u64, values: &[u64]| {
        let entries = values.iter().map(|value| Entry::Command(command(value))).collect();
        let entries = codec::encode::<Contents>(&entries);
        Snapshot::from([&index.to_le_bytes()[..], &entries].concat())
    };
    let mut ledger = ledger();
    ledger.applied(0, 1, apply(1, 7), None).unwrap();
    let deliver = |snapshot| ApplyMsg::Snapshot { index: 2, term: 1, snapshot };
    assert!(ledger.applied(1, 1, deliver(snapshot(2, &[7])), Some(10)).is_err(), "a hole");
    assert!(ledger.applied(1, 1, deliver(snapshot(2, &[8, 9])), Some(10)).is_err(), "8 for 7");
    ledger.end_incarnation(1);
    assert!(ledger.begin_incarnation(1, Some(&snapshot(2, &[8, 9]))).is_err());
    ledger.begin_incarnation(1, Some(&snapshot(2, &[7, 9]))).unwrap();
    assert_eq!(ledger.committed(2), (1, Some(command(9))), "what it holds counts as applied");
}

#[test]
fn a_dead_incarnation_counts_no_more() {
    let mut ledger = ledger();
    ledger.end_incarnation(0);
    ledger.applied(0, 1, apply(5, 5), None).unwrap();
    assert_eq!(ledger.committed(5), (0, None));
}

#[test]
fn every_tenth_command_makes_a_snapshot_that_others_can_install() {
    let mut ledger = ledger();
    let mut made = None;
    for index in 1..=9 {
        made = ledger.applied(0, 1, apply(index, index), Some(10)).unwrap();
        assert_eq!(made.is_some(), index == 9, "index {index}");
    }
    let (index, snapshot) = made.unwrap();
    let install = |index, snapshot| ApplyMsg::Snapshot { index, term: 1, snapshot };
    assert!(ledger.applied(1, 1, install(8, snapshot.clone()), Some(10)).is_err(), "not its index");
    ledger.applied(1, 1, install(index, snapshot.clone()), Some(10)).unwrap();
    assert_eq!(ledger.committed(4), (2, Some(command(4))));
    ledger.applied(1, 1, apply(10, 10), Some(10)).unwrap();
    let back = ledger.applied(1, 1, install(index, snapshot.clone()), Some(10)).unwrap_err();
    assert!(back.contains("go back"), "{back}");
    let empty = ledger.applied(1, 1, install(9, Snapshot::default()), Some(10)).unwrap_err();
    assert!(empty.contains("is empty"), "{empty}");
    let half = Snapshot::from(snapshot[..snapshot.len() - 1].to_vec());
    let half = ledger.applied(0, 1, install(9, half), Some(10)).unwrap_err();
    assert!(half.contains("not a snapshot of its service"), "{half}");
    ledger.end_incarnation(1);
    let incarnation = ledger.begin_incarnation(1, Some(&snapshot)).unwrap();
    ledger.applied(1, incarnation, apply(10, 10), Some(10)).unwrap();
}
