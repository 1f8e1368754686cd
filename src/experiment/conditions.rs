//! The network and the disks of a trial.
//!
//! The paper says "a broadcast time of roughly 15ms". Ongaro's thesis (§9.4) says about the same measurement that this is a
//! network round trip and a disk write. So a request takes some time to arrive, and its reply takes the same time plus a write,
//! because a server that answers a candidate has saved its term and vote first (Figure 2). The candidate's own write overlaps
//! with its requests, as the thesis allows (§9.3).

use super::regions::Regions;
use super::trial::OLD_LEADER;
use labrpc::network::{Fate, LATENCY, Leg, Letter};
use labrpc::rand::Stream;
use labrpc::time::Duration;
use labtests::cluster::parse_end;
use std::fmt;

/// How many servers the paper uses.
const SERVERS: usize = 5;

/// The paper's broadcast time.
const BROADCAST_MS: u64 = 15;

/// How much of the broadcast time the disk takes, unless an argument says otherwise. See docs/EXPERIMENTS.md for the reason.
pub const DISK_MS: u64 = 8;

/// The average of the slowest of four round trips in the simulation's own network, rounded: each way takes 0-2 ms.
const SLOWEST_ROUND_TRIP: Duration = Duration::from_millis(3);

/// How long messages and votes take.
#[derive(Clone, Debug)]
pub struct Conditions {
    name: String,
    /// The time from one server to another, in addition to the simulation's own network.
    one_way: Vec<Vec<Duration>>,
    /// The time to save a vote.
    disk: Duration,
    /// Whether the distances between the servers differ.
    uneven: bool,
}

impl Conditions {
    /// Five servers in one place.
    ///
    /// # Errors
    /// The disk or the simulation's network alone takes longer than the broadcast.
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

    /// One server in each region. One way takes half a round trip; this includes the simulation's own network.
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

    /// A time that is longer than any reply takes.
    pub fn call_timeout(&self) -> Duration {
        let longest = self.one_way.iter().flatten().max().copied().unwrap_or_default();
        (longest + LATENCY) * 2 + self.disk + Duration::from_secs(1)
    }

    /// How long a message takes to arrive, on average.
    pub fn way(&self, from: usize, to: usize) -> Duration {
        self.one_way[from][to] + LATENCY / 2
    }

    /// The same conditions with the servers distributed to the regions at random, if the distances differ.
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

    /// What happens to a message. The old leader is elected while everything is still fast, and its heartbeats are held until
    /// the trial releases them. A new leader never gets a reply to its heartbeats, because the replies would let it make all
    /// logs equal.
    pub fn fate(&self, letter: &Letter) -> Fate {
        let Some((caller, _, called)) = parse_end(&letter.end) else { return Fate::Deliver };
        match (letter.leg, letter.method) {
            (_, "Raft.RequestVote") if caller == OLD_LEADER => Fate::Deliver,
            (Leg::Request, _) if caller == OLD_LEADER => Fate::Hold,
            (Leg::Request, _) => Fate::Delay(self.one_way[caller][called]),
            (Leg::Reply, "Raft.RequestVote") => {
                Fate::Delay(self.one_way[called][caller] + self.disk)
            }
            (Leg::Reply, _) => Fate::Drop,
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
        assert_eq!(fate(&paper, "S1->S2", append, Leg::Reply), Fate::Drop);
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
