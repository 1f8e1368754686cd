//! Two candidates of one term, for scripts that need them.

use crate::suites::worlds::stage::{Kind, Mail, Stage};
use crate::suites::worlds::steps::ms;
use labrpc::network::Fate;
use labrpc::time::{Duration, Instant};

/// Two servers that are candidates in the same term, and a third that is not. No server has heard of the candidacies, because the
/// requests for votes are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rivals {
    /// The server that became a candidate last. Its election timeout has the most time left.
    pub winner: usize,
    /// The server that became a candidate first.
    pub loser: usize,
    /// The third server, which is in an earlier term.
    pub voter: usize,
    /// The term in which the two are candidates.
    pub term: u64,
}

/// The longest time between the two candidacies. It is short so that the first candidate does not soon become a candidate again.
const APART: Duration = ms(150);

/// How long to watch servers that hear nobody. After that they hear each other again, because their terms drift apart.
const WATCHED: Duration = Duration::from_secs(5);

/// How often to watch them.
const TRIES: usize = 10;

impl Rivals {
    /// Waits until two of three servers are candidates in one term. Returns `None` if candidacies can't be read, or if this did
    /// not happen.
    pub fn of(stage: &Stage<'_>) -> Option<Rivals> {
        for _ in 0..TRIES {
            stage.all_pass();
            stage.cluster.check_one_leader();
            stage.settle();
            stage.caption("no server hears another, until two are candidates in one term");
            stage.direct(|mail| match mail.kind {
                Kind::Vote if mail.is_call() => Fate::Hold,
                Kind::Vote | Kind::Entries | Kind::Snapshot => Fate::Drop,
                Kind::Other => Fate::Deliver, // a pre-vote: it must pass, so that a server becomes a candidate
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

    /// Two candidates of one term, if the second has become a candidate just now.
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

    /// Releases the requests for votes that `from` has sent to `to` in this term.
    pub fn asks(&self, stage: &Stage<'_>, from: usize, to: usize) {
        let term = self.term;
        let asks = |mail: &Mail| mail.from == from && mail.to == to && mail.kind == Kind::Vote;
        stage.release(|mail| asks(mail) && mail.term == Some(term) && mail.is_call());
    }

    /// Lets the voter hear the winner and elect it; the loser hears nothing. Returns whether the winner leads before another
    /// candidacy begins.
    pub fn elect(&self, stage: &Stage<'_>) -> bool {
        let Rivals { winner, voter, term, .. } = *self;
        stage.caption(
            "the third server elects the last candidate; the first candidate doesn't hear of it",
        );
        stage.direct(move |mail| match (mail.from == winner && mail.to == voter, mail.kind) {
            (true, _) => Fate::Deliver,
            (false, Kind::Vote) if mail.is_call() => Fate::Hold,
            _ => Fate::Drop,
        });
        self.asks(stage, winner, voter);
        stage.until(ms(100), || stage.cluster.state(winner) == Some((term, true)))
    }
}
