//! The clusters on which tests begin.

use crate::cluster::{Setup, Snapshots};

/// Servers on a network that begins reliable.
pub const fn reliable(servers: usize) -> Setup {
    Setup { servers, members: servers, reliable: true, snapshots: Snapshots::Never }
}

/// Servers on a network that begins unreliable.
pub const fn unreliable(servers: usize) -> Setup {
    Setup { servers, members: servers, reliable: false, snapshots: Snapshots::Never }
}

/// The same setup, with only `members` of the servers as initial members.
pub const fn members(members: usize, setup: Setup) -> Setup {
    Setup { members, ..setup }
}

/// The same setup, with a service that makes snapshots.
pub const fn with_snapshots(setup: Setup) -> Setup {
    Setup { snapshots: Snapshots::EveryTenth, ..setup }
}

/// The same setup, with a service that hands its snapshots over late, twice, and out of order.
pub const fn sloppy(setup: Setup) -> Setup {
    Setup { snapshots: Snapshots::Sloppy, ..setup }
}

/// The same setup, with the test's own service, which gets this `max_raft_state`.
pub const fn service(setup: Setup, max_raft_state: Option<usize>) -> Setup {
    Setup { snapshots: Snapshots::Own(max_raft_state), ..setup }
}
