//! Clusters to begin with.

use crate::cluster::{Setup, Snapshots};

/// Servers on a network that begins reliable.
pub const fn reliable(servers: usize) -> Setup {
    Setup { servers, members: servers, reliable: true, snapshots: Snapshots::Never }
}

/// Servers on a network that begins unreliable.
pub const fn unreliable(servers: usize) -> Setup {
    Setup { servers, members: servers, reliable: false, snapshots: Snapshots::Never }
}

/// Of which only so many are members at first.
pub const fn members(members: usize, setup: Setup) -> Setup {
    Setup { members, ..setup }
}

/// With a service that makes snapshots.
pub const fn with_snapshots(setup: Setup) -> Setup {
    Setup { snapshots: Snapshots::EveryTenth, ..setup }
}

/// With a service that hands its snapshots over late, twice, and out of order.
pub const fn sloppy(setup: Setup) -> Setup {
    Setup { snapshots: Snapshots::Sloppy, ..setup }
}

/// With a service of its own, which gets this as `max_raft_state`.
pub const fn service(setup: Setup, max_raft_state: Option<usize>) -> Setup {
    Setup { snapshots: Snapshots::Own(max_raft_state), ..setup }
}
