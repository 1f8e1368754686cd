//! When servers last became candidates, and what kept them from it. A failure report shows this when a cluster makes no
//! progress. No rule is checked here.

use super::model::Model;
use crate::limits::ELECTION_TIMEOUT;
use crate::names::name;
use labrpc::time::Duration;
use std::collections::BTreeMap;

/// What one server did recently, by the run's clock.
#[derive(Default)]
pub(super) struct Lately {
    /// When it became a candidate, by term.
    pub stood: BTreeMap<u64, Duration>,
    /// When it last had a reason to wait: it started, heard a leader, or granted a vote.
    pub waits_since: Duration,
}

/// No server waits longer than this.
const LONG: Duration = ELECTION_TIMEOUT.saturating_mul(2);

/// How far the report looks back.
const BACK: Duration = ELECTION_TIMEOUT.saturating_mul(5);

/// An election timeout below this runs out when two heartbeats in a row are lost, at ten heartbeats per second.
const SHORT: Duration = Duration::from_millis(300);

/// A cluster that finds its leader needs fewer candidacies than this in the time [`BACK`].
const MANY: usize = 8;

impl Model {
    /// Server `i` asks for votes.
    pub(super) fn becomes_candidate(&mut self, i: usize, term: u64) {
        let now = self.now;
        self.servers[i].lately.stood.entry(term).or_insert(now);
    }

    /// Server `i` gets a message of `term`. That is a reason to wait, unless the term is over.
    pub(super) fn is_seen_waiting(&mut self, i: usize, term: u64) {
        let now = self.now;
        let server = &mut self.servers[i];
        if term >= server.term {
            server.lately.waits_since = now;
        }
    }

    /// What is odd about the recent elections among these servers: one line for each oddity.
    pub fn elections(&self, servers: &[usize]) -> Vec<String> {
        if self.servers.len() == 1 || !self.seen.votes {
            return Vec::new();
        }
        let silent = servers.iter().filter_map(|&i| self.silent(i));
        let many = self.many_candidacies(servers);
        let refusals = many.iter().flat_map(|_| servers.iter().filter_map(|&i| self.candidate(i)));
        let refusals: Vec<_> = refusals.collect();
        silent.chain(many).chain(refusals).collect()
    }

    /// How often a server became a candidate recently, and why the other servers did not vote for it.
    fn candidate(&self, i: usize) -> Option<String> {
        let since = self.now.saturating_sub(BACK);
        let stood = self.servers[i].lately.stood.iter().filter(|(_, at)| **at >= since);
        let terms: Vec<_> = stood.map(|(term, _)| *term).collect();
        let (first, last) = (terms.first()?, terms.last()?);
        let others = (0..self.servers.len()).filter(|j| *j != i).map(|j| {
            let mut answers: BTreeMap<String, usize> = BTreeMap::new();
            terms
                .iter()
                .for_each(|&term| *answers.entry(self.answer(j, term, i)).or_default() += 1);
            let times = |(answer, count): (&String, &usize)| format!("{answer} ({count}x)");
            format!("{} {}", name(j), answers.iter().map(times).collect::<Vec<_>>().join(", "))
        });
        let others: Vec<_> = others.collect();
        let who = name(i);
        Some(format!(
            "{who} became a candidate in {} terms from {first} to {last}: {}",
            terms.len(),
            others.join("; ")
        ))
    }

    /// What server `j` did with its vote when `candidate` asked for it in `term`, as far as it was seen.
    fn answer(&self, j: usize, term: u64, candidate: usize) -> String {
        let server = &self.servers[j];
        match server.votes.get(&term) {
            Some(vote) if *vote == candidate => return "voted for it".into(),
            Some(vote) if *vote == j => return "was a candidate itself".into(),
            Some(vote) => return format!("had voted for {}", name(*vote)),
            None if !server.asked.contains_key(&(term, candidate)) => {
                return "did not get the request".into();
            }
            None => {}
        }
        let (kept, claim) = (server.kept.last, self.claims.get(&(term, candidate)));
        match claim {
            Some(claim) if (claim.term, claim.index) < (kept.term, kept.index) => {
                format!("has a newer log, up to {kept} at least (§5.4.1)")
            }
            _ => "gave no vote, for a reason that was not seen".into(),
        }
    }

    fn silent(&self, i: usize) -> Option<String> {
        // A server that is not a member does not become a candidate. And if not all leaders and votes can be read, the server may
        // have heard a leader, or granted a vote.
        if self.members_vary || !self.known.leaders || !self.known.votes {
            return None;
        }
        let server = &self.servers[i];
        let leads =
            self.leaderships.get(&server.term).is_some_and(|leadership| leadership.leader == i);
        let stood = server.lately.stood.values().max().copied().unwrap_or_default();
        let silent = self.now.saturating_sub(stood.max(server.lately.waits_since));
        (server.alive && !leads && silent > LONG).then(|| {
            format!(
                "{} has heard no leader for {:.1} s. In this time it has granted no vote and has not become a candidate. A \
                 follower that hears no leader for an election timeout must become a candidate, and a candidate that wins no \
                 election must start another one (§5.2)",
                name(i),
                silent.as_secs_f64()
            )
        })
    }

    /// A sentence about an election timeout that is too short for the lab's network, if there is one.
    fn short_timeout(&self, servers: &[usize]) -> Option<String> {
        let waits = |i: usize| {
            let stood: Vec<_> = self.servers[i].lately.stood.values().copied().collect();
            stood.windows(2).map(|two| two[1].saturating_sub(two[0])).collect::<Vec<_>>()
        };
        let waits = servers.iter().flat_map(|&i| waits(i).into_iter().map(move |wait| (wait, i)));
        let (wait, i) = waits.min().filter(|(wait, _)| *wait < SHORT)?;
        Some(format!(
            ". {} became a candidate again {wait:?} after its last candidacy. Election timeouts below {SHORT:?} are too short \
             for the lab's network, which loses and delays messages and allows ten heartbeats per second (§5.6: \
             broadcastTime << electionTimeout)",
            name(i)
        ))
    }

    fn many_candidacies(&self, servers: &[usize]) -> Option<String> {
        let since = self.now.saturating_sub(BACK);
        let recent = |i: usize| {
            self.servers[i]
                .lately
                .stood
                .iter()
                .filter(|(_, at)| **at >= since)
                .map(|(term, _)| *term)
        };
        let counts: Vec<_> = servers.iter().map(|&i| (i, recent(i).count())).collect();
        let all: usize = counts.iter().map(|(_, count)| count).sum();
        let won = |i: usize| {
            recent(i)
                .filter(|term| {
                    self.leaderships.get(term).is_some_and(|leadership| leadership.leader == i)
                })
                .count()
        };
        let won: usize = servers.iter().map(|&i| won(i)).sum();
        let who = counts.iter().filter(|(_, count)| *count > 0);
        let who: Vec<_> = who.map(|(i, count)| format!("{}: {count}", name(*i))).collect();
        let why = if won > all / 2 {
            "Leaders don't last: look at whether heartbeats are sent, whether they reset the election timer, and whether \
             an election timeout outlasts a lost heartbeat (§5.2, §5.6)"
        } else {
            "Votes are split, refused or not counted: look at whether election timeouts are randomized (§5.2), and at \
             candidates whose logs are behind (§5.4.1)"
        };
        let short = self.short_timeout(servers).unwrap_or_default();
        (all >= MANY).then(|| {
            format!(
                "in the last {BACK:?} there were {all} candidacies ({}), and {won} of them won. {why}{short}",
                who.join(", ")
            )
        })
    }
}
