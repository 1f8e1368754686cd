//! The network and the disks of a trial.
//!
//! The paper says "a broadcast time of roughly 15ms"; Ongaro's thesis (§9.4), of the same measurement, that this is a network
//! round trip and a disk write. So a request takes a while to arrive, and its answer takes as much and a write more: whoever
//! answers a candidate has saved its term and vote first (Figure 2). The candidate's own write overlaps with its requests, as the
//! thesis allows (§9.3).

use super::regions::Regions;
use super::trial::OLD_LEADER;
use labrpc::network::{Fate, LATENCY, Leg, Letter};
use labrpc::rand::Stream;
use labrpc::time::Duration;
use labtests::cluster::parse_end;
use std::fmt;

/// How many servers the paper has.
const SERVERS: usize = 5;

/// The paper's broadcast time.
const BROADCAST_MS: u64 = 15;

/// How much of it is the disk's, if nobody says otherwise. See docs/EXPERIMENTS.md for why.
pub const DISK_MS: u64 = 8;

/// The slowest of four round trips in the simulation's own network, on average, rounded: each way takes 0-2 ms.
const SLOWEST_ROUND_TRIP: Duration = Duration::from_millis(3);

/// How long messages and votes take.
#[derive(Clone, Debug)]
pub struct Conditions {
    name: String,
    /// From whom to whom, beyond what the simulation's own network takes.
    one_way: Vec<Vec<Duration>>,
    /// Until a vote is saved.
    disk: Duration,
    /// Whether it matters which server is where.
    uneven: bool,
}

impl Conditions {
    /// Five servers in one place.
    ///
    /// # Errors
    /// The disk alone takes longer than the broadcast, or the simulation's network does.
    pub fn one_place(broadcast_ms: Option<u64>, disk_ms: u64) -> Result<Conditions, String> {
        let broadcast = Duration::from_millis(broadcast_ms.unwrap_or(BROADCAST_MS));
        let disk = Duration::from_millis(disk_ms);
        let Some(network) = broadcast.checked_sub(disk + SLOWEST_ROUND_TRIP) else {
            return Err(format!(
                "a broadcast of {} ms is too short for a disk write of {} ms and {} ms in the simulation's network",
                ms(broadcast),
                ms(disk),
                ms(SLOWEST_ROUND_TRIP)
            ));
        };
        let one_way = network / 2;
        let name = format!(
            "{SERVERS} servers; one way {}-{} ms, {} ms to save a vote: broadcast time {} ms",
            ms(one_way),
            ms(one_way + LATENCY),
            ms(disk),
            ms(broadcast)
        );
        let one_way = vec![vec![one_way; SERVERS]; SERVERS];
        Ok(Conditions { name, one_way, disk, uneven: false })
    }

    /// A server in each region. Half a round trip is one way; the simulation's own network is part of it.
    pub fn wide_area(regions: &Regions, disk_ms: u64) -> Conditions {
        let disk = Duration::from_millis(disk_ms);
        let way = |round_trip: &Duration| (*round_trip / 2).saturating_sub(LATENCY / 2);
        let rows = regions.round_trips().iter();
        let one_way = rows.map(|row| row.iter().map(way).collect()).collect();
        let name = format!("a server in each of {regions}; {} ms to save a vote", ms(disk));
        Conditions { name, one_way, disk, uneven: true }
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.one_way.len()
    }

    /// Longer than any answer takes.
    pub fn call_timeout(&self) -> Duration {
        let longest = self.one_way.iter().flatten().max().copied().unwrap_or_default();
        (longest + LATENCY) * 2 + self.disk + Duration::from_secs(1)
    }

    /// How long a message is on its way, on average.
    pub fn way(&self, from: usize, to: usize) -> Duration {
        self.one_way[from][to] + LATENCY / 2
    }

    /// The same with the servers dealt out to the places anew, where that makes a difference.
    pub fn dealt_out(&self, draws: &Stream) -> Conditions {
        let mut places: Vec<_> = (0..self.servers()).collect();
        if self.uneven {
            for i in (1..places.len()).rev() {
                places.swap(i, draws.below("place of a server", i as u64 + 1) as usize);
            }
        }
        let row = |from: &usize| places.iter().map(|to| self.one_way[*from][*to]).collect();
        Conditions { one_way: places.iter().map(row).collect(), ..self.clone() }
    }

    /// What becomes of a message. The old leader is elected before anything is slow, and its heartbeats are the tester's to
    /// release. No leader hears what became of its own: it would make all logs equal.
    pub fn fate(&self, letter: &Letter) -> Fate {
        let Some((caller, _, called)) = parse_end(&letter.end) else { return Fate::Deliver };
        match (letter.leg, letter.method) {
            (_, "Raft.RequestVote") if caller == OLD_LEADER => Fate::Deliver,
            (Leg::Request, _) if caller == OLD_LEADER => Fate::Hold,
            (Leg::Request, _) => Fate::Delay(self.one_way[caller][called]),
            (Leg::Reply, "Raft.RequestVote") => {
                Fate::Delay(self.one_way[called][caller] + self.disk)
            }
            (Leg::Reply, _) => Fate::Lose,
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labrpc::describe::Value;
    use std::sync::Arc;

    fn fate(conditions: &Conditions, end: &str, method: &'static str, leg: Leg) -> Fate {
        let args = Arc::new(Value::Unit("()"));
        conditions.fate(&Letter { call: 1, end: end.into(), method, leg, args, reply: None })
    }

    fn later(ms: u64) -> Fate {
        Fate::Delay(Duration::from_millis(ms))
    }

    #[test]
    fn the_paper_s_broadcast_is_a_round_trip_and_a_write() {
        let paper = Conditions::one_place(None, DISK_MS).unwrap();
        let (vote, append) = ("Raft.RequestVote", "Raft.AppendEntries");
        assert_eq!(fate(&paper, "S1->S2", vote, Leg::Request), later(2));
        assert_eq!(fate(&paper, "S1->S2", vote, Leg::Reply), later(10));
        assert_eq!(fate(&paper, "S0->S2", vote, Leg::Request), Fate::Deliver);
        assert_eq!(fate(&paper, "S0->S2", append, Leg::Request), Fate::Hold);
        assert_eq!(fate(&paper, "S1->S2", append, Leg::Request), later(2));
        assert_eq!(fate(&paper, "S1->S2", append, Leg::Reply), Fate::Lose);
        let words = "one way 2-4 ms, 8 ms to save a vote: broadcast time 15 ms";
        assert!(paper.to_string().ends_with(words), "{paper}");
    }

    #[test]
    fn a_broadcast_can_be_too_short() {
        assert!(Conditions::one_place(Some(11), 8).is_ok());
        let error = Conditions::one_place(Some(10), 8).unwrap_err();
        assert!(error.contains("10 ms is too short for a disk write of 8 ms"), "{error}");
    }

    #[test]
    fn a_round_trip_between_regions_is_twice_the_way() {
        let regions: Regions = "a b c\na - 10 20\nb 10 - 40\nc 20 40 -\n".parse().unwrap();
        let conditions = Conditions::wide_area(&regions, 3);
        let vote = "Raft.RequestVote";
        assert_eq!(conditions.servers(), 3);
        assert_eq!(fate(&conditions, "S1->S2", vote, Leg::Request), later(19));
        assert_eq!(fate(&conditions, "S1->S2", vote, Leg::Reply), later(22));
        assert!(conditions.call_timeout() > Duration::from_millis(43));
    }

    #[test]
    fn servers_are_dealt_out_to_regions_and_distances_stay() {
        let regions: Regions = "a b c\na - 10 20\nb 10 - 40\nc 20 40 -\n".parse().unwrap();
        let conditions = Conditions::wide_area(&regions, 0);
        let sorted = |conditions: &Conditions| {
            let mut ways = conditions.one_way.concat();
            ways.sort_unstable();
            ways
        };
        let draws = Stream::new(1, 1);
        let dealt: Vec<_> = (0..20).map(|_| conditions.dealt_out(&draws)).collect();
        assert!(dealt.iter().any(|other| other.one_way != conditions.one_way));
        assert!(dealt.iter().all(|other| sorted(other) == sorted(&conditions)));
        let symmetric = |c: &Conditions| c.one_way[1][2] == c.one_way[2][1];
        assert!(dealt.iter().all(symmetric));
    }
}
