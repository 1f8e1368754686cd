//! A leader appends an entry and is deposed before it hears that a follower has the entry. The next leader may have the entry,
//! too, and commit it (§5.4.2, Figure 8). The old leader can't know that, so it must not answer that the entry will not be
//! committed.

use crate::cluster::Cluster;
use crate::limits::ELECTION_TIMEOUT;
use crate::suites::worlds::stage::{Kind, Mail, Stage};
use labrpc::network::Fate;
use labrpc::time::Instant;

/// Lets `give` make a request to the leader S0; `give` must not wait for the answer. S2 gets the entry of this request, but S0
/// never hears that. If `in_time`, S0 then hears of a newer term from the candidate S1, which is not elected. Then S2 becomes
/// the leader, with the entry in its log. S0 doesn't hear S2 yet.
pub(crate) fn deposed_while_it_waits(
    cluster: &Cluster,
    in_time: bool,
    give: impl FnOnce(),
) -> Stage<'_> {
    let stage = Stage::new(cluster);
    let [s0, s1, s2] = [0, 1, 2];
    stage.elect(s0, &[s1, s2]);
    stage.caption("S1 hears no other server, and becomes a candidate");
    let s0_and_s2 = move |mail: &Mail| mail.from == s0 && mail.to == s2;
    stage.direct(move |mail| if s0_and_s2(mail) { Fate::Deliver } else { Fate::Drop });
    let from = Instant::now();
    let stands = |mail: &Mail| mail.from == s1 && mail.kind == Kind::Vote && mail.at > from;
    stage.until(5 * ELECTION_TIMEOUT, || !stage.mail(stands).is_empty());
    stage.caption("S0 gets a request, and S2 gets its entry; S2's answers are lost");
    stage.direct(move |mail| match s0_and_s2(mail) && mail.is_call() {
        true => Fate::Deliver,
        false => Fate::Drop,
    });
    let from = Instant::now();
    give();
    let has =
        |mail: &Mail| s0_and_s2(mail) && !mail.is_call() && mail.carries > 0 && mail.at > from;
    stage.until(ELECTION_TIMEOUT, || !stage.mail(has).is_empty());
    if in_time {
        stage.caption("S0 hears that S1 is a candidate in a newer term");
        stage.direct(move |mail| match mail.from == s1 && mail.to == s0 {
            true => Fate::Deliver,
            false => Fate::Drop,
        });
        let deposed = || !matches!(cluster.state(s0), Some((_, true)));
        stage.until(5 * ELECTION_TIMEOUT, deposed);
    }
    stage.caption("S2 is elected");
    stage.elect(s2, &[s1]);
    stage
}
