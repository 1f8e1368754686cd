//! Two candidates of one term, as scripts need them.

use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::ms;
use labrpc::network::Fate;
use labrpc::time::{Duration, Instant};

/// Two servers that stand for election in the same term, and one that doesn't. Nobody has heard of it: their requests are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rivals {
    /// The one that stood last, and so has the longest time left.
    pub winner: usize,
    /// The one that stood first.
    pub loser: usize,
    /// The third server, which is in an earlier term.
    pub voter: usize,
    /// The term in which they stand.
    pub term: u64,
}

/// How far apart they may stand: the first one is not to stand again soon.
const APART: Duration = ms(150);

/// How long servers that hear nobody are watched, before they hear each other again. Their terms drift apart.
const WATCHED: Duration = Duration::from_secs(5);

/// How often that is tried.
const TRIES: usize = 10;

impl Rivals {
    /// Waits until there are two, of three servers. `None`: candidacies can't be read, or it didn't come to that.
    pub fn of(stage: &Stage<'_>) -> Option<Rivals> {
        for _ in 0..TRIES {
            stage.all_pass();
            stage.cluster.check_one_leader();
            stage.settle();
            stage.caption("nobody hears anybody, until two servers stand for election in one term");
            stage.direct(|mail| match mail.kind {
                Kind::Vote if mail.is_call() => Fate::Hold,
                Kind::Vote | Kind::Entries | Kind::Snapshot => Fate::Lose,
                Kind::Other => Fate::Deliver, // a pre-vote: they are to stand
            });
            let from = Instant::now();
            let mut found = None;
            stage.until(WATCHED, || {
                found = Rivals::now(stage, from);
                found.is_some()
            });
            if found.is_some() {
                return found;
            }
            stage.cluster.net().discard(|_| true);
        }
        None
    }

    /// Two servers of which the second has just begun to stand.
    fn now(stage: &Stage<'_>, from: Instant) -> Option<Rivals> {
        let asks = |mail: &Mail| mail.at > from && mail.kind == Kind::Vote && mail.is_call();
        let asked = stage.mail(|mail| asks(mail) && mail.term.is_some());
        let last = asked.last()?;
        let (winner, term) = (last.from, last.term?);
        let first_of =
            |i: usize| asked.iter().find(|mail| mail.from == i && mail.term == Some(term));
        let stood = first_of(winner)?.at;
        if stood.elapsed() > ms(5) {
            return None;
        }
        let loser = (0..3).filter(|i| *i != winner).find(|i| {
            first_of(*i).is_some_and(|mail| stood.saturating_duration_since(mail.at) < APART)
        })?;
        let voter = 3 - winner - loser;
        let behind = stage.cluster.state(voter).is_some_and(|(now, _)| now < term);
        behind.then_some(Rivals { winner, loser, voter, term })
    }

    /// Lets the requests for a vote go that `from` has sent to `to` in this term.
    pub fn asks(&self, stage: &Stage<'_>, from: usize, to: usize) {
        let term = self.term;
        let asks = |mail: &Mail| mail.from == from && mail.to == to && mail.kind == Kind::Vote;
        stage.release(|mail| asks(mail) && mail.term == Some(term) && mail.is_call());
    }

    /// Has the winner elected by the voter, and heard by no one else. Whether it leads before one of them stands again.
    pub fn elect(&self, stage: &Stage<'_>) -> bool {
        let Rivals { winner, voter, term, .. } = *self;
        stage.caption("the one that stood last is elected by the third, and the other one hears nothing of it");
        stage.direct(move |mail| match (mail.from == winner && mail.to == voter, mail.kind) {
            (true, _) => Fate::Deliver,
            (false, Kind::Vote) if mail.is_call() => Fate::Hold,
            _ => Fate::Lose,
        });
        self.asks(stage, winner, voter);
        stage.until(ms(100), || stage.cluster.state(winner) == Some((term, true)))
    }
}
