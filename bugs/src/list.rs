//! The patches that there are, by name. A test compares this list with the folder.

/// Puts each patch into the program: `raftlab bugs` needs no folder.
macro_rules! patches {
    ($($name:ident)*) => {
        /// Each patch's name, and the text of its file.
        pub const PATCHES: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("../", stringify!($name), ".patch")))),*];
    };
}

patches! {
    accept_stale_ae
    ae_below_snapshot_rejected
    answered_before_commit
    answered_by_index
    apply_async
    apply_holding_lock
    apply_not_drained
    below_base_acked
    cand_ignores_leader
    cand_no_retry
    candidacy_not_saved
    clerk_keeps_to_one
    commit_beyond_new_entries
    commit_half
    commit_lowered
    commit_old_term
    dedup_by_server
    dedup_not_in_snapshot
    double_vote
    elect_half
    even_quorum
    fixed_timeout
    hb_fast
    hb_skips_check
    hint_taken_as_match
    install_discards_tail
    install_keeps_tail
    is_no_timer_reset
    kill_wakes_nobody
    leader_counts_twice
    local_reads
    log_never_trimmed
    match_can_regress
    match_from_loglen
    match_lowered
    maybe_as_version
    new_number_for_each_try
    next_lowered_on_term_rejection
    next_plus_len
    no_dedup
    no_kick
    no_reset_on_grant
    no_stepdown_on_reply
    no_uptodate
    no_votereset_newterm
    noop
    nopersist_on_ae
    nopersist_on_start
    nopersist_term
    nopersist_vote
    older_snapshot_saved
    persist_late
    resend_all
    restart_applied0
    restart_without_snapshot
    rpc_per_start
    sessions_never_forgotten
    short_timeouts
    slow_backup
    slow_backup_hb
    snap_async
    snap_follower_nosave
    snap_install_old
    snap_no_term
    snap_no_trim
    snap_not_delivered
    snap_not_reread
    snap_reply_nomatch
    snap_saved_nil
    snapshot_before_apply
    snapshot_not_restored
    snapshot_saved_apart
    stale_ae_reply
    stale_install_reply
    sync_rpc
    timer_reset_any_rv
    truncate_always
    truncate_ignores_base
    truncate_on_entries
    uptodate_both
    uptodate_len
    vote_check_before_term
    vote_cleared_by_leader
    vote_of_older_candidacy
    waiters_forgotten
}
