//! When servers last stood for election, and what kept them from it: what a failure is told with where nothing comes to
//! pass. No rule is checked here.

use super::model::Model;
use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::name;
use labrpc::time::Duration;
use std::collections::BTreeMap;

/// What one server did, by the run's clock.
#[derive(Default)]
pub(super) struct Lately {
    /// When it began to stand for election, by term.
    pub stood: BTreeMap<u64, Duration>,
    /// When it last had a reason to wait: it started, heard a leader, or granted a vote.
    pub waits_since: Duration,
}

/// Longer than this nobody waits.
const LONG: Duration = ELECTION_TIMEOUT.saturating_mul(2);

/// For so long one looks back.
const BACK: Duration = ELECTION_TIMEOUT.saturating_mul(5);

/// Below this an election timeout doesn't outlast two lost heartbeats of ten a second.
const SHORT: Duration = Duration::from_millis(300);

/// As many candidacies in that time are more than a cluster needs that finds its leader.
const MANY: usize = 8;

impl Model {
    /// Server `i` asks for votes.
    pub(super) fn is_seen_standing(&mut self, i: usize, term: u64) {
        let now = self.now;
        self.servers[i].lately.stood.entry(term).or_insert(now);
    }

    /// What comes to server `i` in `term` is a reason to wait, if that isn't over.
    pub(super) fn is_seen_waiting(&mut self, i: usize, term: u64) {
        let now = self.now;
        let server = &mut self.servers[i];
        if term >= server.term {
            server.lately.waits_since = now;
        }
    }

    /// What is odd about the elections of late among these servers: a line for each thing.
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

    /// How often a server became a candidate of late, and why others did not vote for it.
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
            let times = |(answer, count): (&String, &usize)| format!("{answer} ({count})");
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

    /// What became of the vote of server `j` when `candidate` asked for it in `term`, as far as it was seen.
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
            _ => "gave no vote, and no reason for that was seen".into(),
        }
    }

    fn silent(&self, i: usize) -> Option<String> {
        // A server that is no member doesn't stand. Where not all leaders and votes can be read, it may have heard one.
        if self.members_vary || !self.known.leaders || !self.known.votes {
            return None;
        }
        let server = &self.servers[i];
        let leads = self.reigns.get(&server.term).is_some_and(|reign| reign.leader == i);
        let stood = server.lately.stood.values().max().copied().unwrap_or_default();
        let silent = self.now.saturating_sub(stood.max(server.lately.waits_since));
        (server.alive && !leads && silent > LONG).then(|| {
            format!(
                "{} has heard no leader, granted no vote and not stood for election for {:.1} s: who hears no leader for \
                 an election timeout becomes a candidate, and a candidate one again (§5.2)",
                name(i),
                silent.as_secs_f64()
            )
        })
    }

    /// What there is to say of an election timeout that is too short for the lab's network.
    fn short_timeout(&self, servers: &[usize]) -> Option<String> {
        let waits = |i: usize| {
            let stood: Vec<_> = self.servers[i].lately.stood.values().copied().collect();
            stood.windows(2).map(|two| two[1].saturating_sub(two[0])).collect::<Vec<_>>()
        };
        let waits = servers.iter().flat_map(|&i| waits(i).into_iter().map(move |wait| (wait, i)));
        let (wait, i) = waits.min().filter(|(wait, _)| *wait < SHORT)?;
        Some(format!(
            ". {} stood again {wait:?} after it had stood before: election timeouts below {SHORT:?} are too short for the lab's network, \
             which loses messages, brings them late, and has ten heartbeats a second (§5.6: broadcastTime << electionTimeout)",
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
                .filter(|term| self.reigns.get(term).is_some_and(|reign| reign.leader == i))
                .count()
        };
        let won: usize = servers.iter().map(|&i| won(i)).sum();
        let who = counts.iter().filter(|(_, count)| *count > 0);
        let who: Vec<_> = who.map(|(i, count)| format!("{} {count}", name(*i))).collect();
        let why = if won > all / 2 {
            "leaders don't last: heartbeats that don't come, or don't count, or timeouts that don't outlast a lost one (§5.2, §5.6)"
        } else {
            "votes are split or refused, or don't count: randomized election timeouts (§5.2), logs that are behind (§5.4.1)"
        };
        let short = self.short_timeout(servers).unwrap_or_default();
        (all >= MANY).then(|| {
            format!(
                "in the last {BACK:?} there were {all} candidacies ({}), and {won} of them won; {why}{short}",
                who.join(", ")
            )
        })
    }
}
