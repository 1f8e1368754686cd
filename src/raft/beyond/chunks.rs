//! Snapshots in chunks: what Figure 13 has and the lab leaves out.
//!
//! In the lab, a snapshot is one message. With [`Options::snapshot_chunk`](crate::raft::Options::snapshot_chunk) it is several. The
//! follower replies how many bytes it has, because a chunk may get lost, and the leader goes on from there.

use crate::raft::install_snapshot::{InstallSnapshotArgs, InstallSnapshotReply};
use crate::raft::log::Members;
use crate::raft::state::{Role, State};
use labrpc::api::Snapshot;

/// A snapshot that the leader is sending to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    index: u64,
    term: u64,
    members: Members,
    data: Snapshot,
    /// How many bytes of it the server has.
    received: usize,
}

impl Outgoing {
    /// How many bytes of it the server has.
    pub(super) fn reached(&self) -> usize {
        self.received
    }
}

/// A snapshot of which some chunks have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The term of its leader and the last index that it covers, so that chunks of two snapshots are not mixed.
    from: (u64, u64),
    data: Vec<u8>,
}

impl State {
    /// What the leader sends next to a server that needs entries which are no longer in the log.
    pub fn next_chunk(&mut self, peer: usize) -> InstallSnapshotArgs {
        let latest = self.outgoing();
        let Role::Leader { progress, .. } = &mut self.role else { unreachable!("only leaders") };
        // A snapshot that has begun to arrive is finished. Otherwise a service that makes snapshots often would restart it for
        // ever.
        let begun = progress[peer].outgoing.take().filter(|outgoing| outgoing.received > 0);
        let Outgoing { index, term, members, data, received } =
            progress[peer].outgoing.insert(begun.unwrap_or(latest)).clone();
        let rest = data.len() - received;
        let chunk = self.options.snapshot_chunk.unwrap_or(rest).min(rest);
        InstallSnapshotArgs {
            term: self.current_term,
            leader_id: self.me,
            last_included_index: index,
            last_included_term: term,
            members,
            offset: received as u64,
            done: chunk == rest,
            data: match chunk == data.len() {
                true => data,
                false => Snapshot::from(data[received..received + chunk].to_vec()),
            },
        }
    }

    fn outgoing(&self) -> Outgoing {
        Outgoing {
            index: self.log.last_included_index(),
            term: self.log.last_included_term(),
            members: self.log.members_in_snapshot().clone(),
            data: self.disk.snapshot(),
            received: 0,
        }
    }

    /// Steps 2 to 4 of Figure 13: "Create new snapshot file if first chunk (offset is 0)"; "Write data into snapshot file at
    /// given offset"; "Reply and wait for more data chunks if done is false". Returns how many bytes of the snapshot have
    /// arrived, and the snapshot if all of it has arrived.
    pub fn receive_chunk(&mut self, args: &InstallSnapshotArgs) -> (u64, Option<Snapshot>) {
        let from = (args.term, args.last_included_index);
        let incoming = self.incoming.take().filter(|incoming| incoming.from == from);
        let mut incoming = incoming.unwrap_or(Incoming { from, data: Vec::new() });
        // A chunk that is duplicated, or that follows a lost one, adds nothing.
        if args.offset == incoming.data.len() as u64 {
            incoming.data.extend_from_slice(&args.data);
        }
        let received = self.incoming.insert(incoming).data.len() as u64;
        (received, self.complete(args, received))
    }

    /// Drops the chunks of a snapshot that will not be completed: they are of an earlier term, or our log already agrees with the
    /// leader's log up to the end of that snapshot.
    pub fn drop_chunks(&mut self, log_agrees_to: u64) {
        let term = self.current_term;
        self.incoming.take_if(|Incoming { from: (leader_term, index), .. }| {
            *leader_term < term || *index <= log_agrees_to
        });
    }

    /// What the leader notes from a reply: how much of the snapshot the server has.
    pub fn note_chunks(
        &mut self,
        peer: usize,
        args: &InstallSnapshotArgs,
        reply: &InstallSnapshotReply,
    ) {
        if let Role::Leader { progress, .. } = &mut self.role
            && let Some(outgoing) = &mut progress[peer].outgoing
            && outgoing.index == args.last_included_index
        {
            outgoing.received = (outgoing.data.len() as u64).min(reply.received) as usize;
            if reply.success {
                progress[peer].outgoing = None;
            }
        }
    }

    fn complete(&mut self, args: &InstallSnapshotArgs, received: u64) -> Option<Snapshot> {
        let whole = args.done && received == args.offset + args.data.len() as u64;
        let incoming = self.incoming.take_if(|_| whole)?;
        Some(Snapshot::from(incoming.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::append_entries::AppendEntriesArgs;
    use crate::raft::log::{Entry, Payload};
    use crate::raft::tests::{Server, at_ms, entries, install, progress};

    /// A leader that sends a snapshot of ten bytes in chunks of four, and its follower.
    struct Chunks {
        leader: State,
        follower: State,
    }

    impl Chunks {
        fn new() -> Chunks {
            let mut leader = Server::new(3).log(&[1, 1, 1]).leader_of_term(2).build();
            leader.options.snapshot_chunk = Some(4);
            leader.commit_index = 2;
            leader.take_committed();
            leader.snapshot(2, Snapshot::from((0..10).collect::<Vec<u8>>()));
            let mut follower = Server::new(3).build();
            follower.me = 1;
            Chunks { leader, follower }
        }

        /// Sends the next chunk. The chunk or its reply may get lost.
        fn send(&mut self, arrives: bool, answered: bool) -> (u64, bool) {
            let args = self.leader.next_chunk(1);
            let sent = (args.offset, args.done);
            if arrives {
                let reply = self.follower.handle_install_snapshot(args.clone(), at_ms(0));
                if answered {
                    self.leader.handle_install_snapshot_reply(1, &args, &reply, at_ms(0));
                }
            }
            sent
        }
    }

    #[test]
    fn a_snapshot_continues_with_the_chunk_that_was_lost() {
        let mut chunks = Chunks::new();
        assert_eq!(chunks.send(true, true), (0, false));
        assert_eq!(chunks.send(false, false), (4, false));
        assert_eq!(chunks.send(true, false), (4, false), "lost, and sent again");
        assert_eq!(chunks.send(true, true), (4, false), "it came twice, and adds nothing");
        assert_eq!(chunks.follower.commit_index, 0);
        assert_eq!(chunks.send(true, true), (8, true));
        assert_eq!(chunks.follower.commit_index, 2);
        assert_eq!(&chunks.follower.disk.snapshot()[..], &(0..10).collect::<Vec<u8>>()[..]);
        assert_eq!(progress(&chunks.leader)[1].match_index, 2);
    }

    #[test]
    fn a_follower_that_has_lost_its_chunks_gets_them_again() {
        let mut chunks = Chunks::new();
        chunks.send(true, true);
        chunks.send(true, true);
        chunks.follower = Server::restarted(&chunks.follower);
        assert_eq!(chunks.send(true, true), (8, true));
        assert_eq!(chunks.follower.commit_index, 0, "the end alone is no snapshot");
        assert_eq!(chunks.send(true, true), (0, false));
        chunks.send(true, true);
        chunks.send(true, true);
        assert_eq!(chunks.follower.commit_index, 2);
    }

    /// A follower that has received a chunk of a snapshot up to index 2, from the leader of term 2.
    fn half_here() -> State {
        let mut chunks = Chunks::new();
        chunks.send(true, true);
        assert!(chunks.follower.incoming.is_some());
        chunks.follower
    }

    #[test]
    fn chunks_that_will_not_be_completed_are_dropped() {
        let entries = |many: usize| AppendEntriesArgs {
            term: 2,
            leader_id: 0,
            prev_log_index: 0,
            prev_log_term: 0,
            entries: entries(&[1, 1][..many]),
            leader_commit: 0,
        };
        let mut state = half_here();
        state.handle_append_entries(entries(1), at_ms(0));
        assert!(state.incoming.is_some(), "index 2 isn't here yet");
        state.handle_append_entries(entries(2), at_ms(0));
        assert_eq!(state.incoming, None, "it has come as an entry");

        let mut state = half_here();
        state.update_term(3, at_ms(0));
        assert_eq!(state.incoming, None, "their leader is deposed");
        let mut state = half_here();
        state.become_candidate(at_ms(0));
        assert_eq!(state.incoming, None, "their leader is deposed");

        let mut state = half_here();
        state.log.append(Entry { term: 1, payload: Payload::NoOp });
        state.log.append(Entry { term: 1, payload: Payload::NoOp });
        state.commit_index = 2;
        let again = InstallSnapshotArgs { leader_id: 2, ..install(2, 2, 1) };
        assert!(state.handle_install_snapshot(again, at_ms(0)).success);
        assert_eq!(state.incoming, None, "the entries that they cover are committed");
    }

    #[test]
    fn a_snapshot_that_has_begun_to_arrive_is_finished() {
        let mut chunks = Chunks::new();
        chunks.send(true, true);
        chunks.leader.commit_index = 3;
        chunks.leader.take_committed();
        chunks.leader.snapshot(3, Snapshot::from(vec![9; 10]));
        assert_eq!(chunks.send(true, true), (4, false));
        assert_eq!(chunks.send(true, true), (8, true));
        assert_eq!(chunks.follower.commit_index, 2);
        assert_eq!(chunks.send(true, true), (0, false), "then the newer snapshot begins");
    }
}
