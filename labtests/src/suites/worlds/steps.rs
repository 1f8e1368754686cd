//! Steps that most tests use.

pub(crate) use crate::checks::ms;
use crate::cluster::Cluster;
use crate::ledger::command;
use labrpc::api::Started;

/// A random command. It is short, because the lab bounds the size of the log.
pub fn random(cluster: &Cluster) -> u64 {
    cluster.draws().below("command", 1_000_000_000)
}

/// Gets this many random commands agreed on, one after the other, by at least `servers` servers. Returns the last index.
pub fn agree(cluster: &Cluster, commands: usize, servers: usize) -> u64 {
    (0..commands).fold(0, |_, _| cluster.one(random(cluster), servers, true))
}

/// The same, with commands of this many bytes.
pub fn agree_on_long(cluster: &Cluster, commands: usize, bytes: usize, servers: usize) -> u64 {
    let letter = |_| b'a' + cluster.draws().below("letter", 26) as u8;
    (0..commands).fold(0, |_, _| {
        let command: Vec<u8> = (0..bytes).map(letter).collect();
        cluster.one_command(&command.into(), servers, true)
    })
}

/// Gives this many random commands to a server, which need not be the leader. Returns its answer to the last command that it
/// accepted.
pub fn give(cluster: &Cluster, i: usize, commands: usize) -> Option<Started> {
    let give_one = || cluster.start(i, &command(random(cluster))).ok();
    (0..commands).fold(None, |last, _| give_one().or(last))
}

/// Starts a server again, perhaps after a crash.
pub fn restart(cluster: &Cluster, i: usize) {
    cluster.start_server(i);
    cluster.connect(i);
}

/// The server that is `steps` after `server`, in a ring.
pub fn after(cluster: &Cluster, server: usize, steps: usize) -> usize {
    (server + steps) % cluster.n()
}

/// A random server.
pub fn anybody(cluster: &Cluster) -> usize {
    cluster.draws().below("server", cluster.n() as u64) as usize
}
