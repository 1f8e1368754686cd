//! What a test asks of the cluster, under the Go lab's names: `one`, `n_committed`, `check_one_leader`..
//!
//! Each function either returns an answer or fails the test with what it saw.

use crate::cluster::deeds::deed;
use crate::cluster::{Cluster, name, names};
use crate::ledger::{command, show};
use labrpc::api::Command;
use labrpc::time::{Duration, Instant};
use labrpc::trace::{Act, Deed};
use labrpc::{run, trace};
use std::collections::BTreeMap;

/// How long `one` tries in all.
const ONE_TRIES: Duration = Duration::from_secs(10);
/// How long `one` waits for a command that a leader accepted.
const ONE_WAITS: Duration = Duration::from_secs(2);

/// This number of milliseconds.
pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Cluster {
    /// Waits until a connected server says that it is the leader, and returns that server. Fails if two servers lead one term.
    /// This may take five seconds: ten polls of half a second each.
    #[track_caller]
    pub fn check_one_leader(&self) -> usize {
        self.one_leader_within(10)
    }

    /// Like [`Cluster::check_one_leader`], with this number of polls of half a second each.
    #[track_caller]
    pub fn one_leader_within(&self, polls: u32) -> usize {
        for _ in 0..polls {
            self.sleep(self.draws().millis("poll for a leader", 450..550));
            let mut leaders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            for i in (0..self.n()).filter(|&i| self.is_connected(i)) {
                if let Some((term, true)) = self.state(i) {
                    leaders.entry(term).or_default().push(i);
                }
            }
            if let Some((term, several)) = leaders.iter().find(|(_, who)| who.len() > 1) {
                run::fail(format!(
                    "{} all say that they lead term {term}. Election Safety (Figure 3, §5.2): at most one leader \
                     can be elected in a given term",
                    names(several)
                ));
            }
            if let Some((term, who)) = leaders.last_key_value() {
                let text = || format!("finds that {} leads term {term}", name(who[0]));
                trace::deed(|| Deed {
                    entry: Some((0, *term)),
                    ..deed(Act::Leads, &[who[0]], text())
                });
                return who[0];
            }
        }
        run::fail(format!(
            "no leader among {} connected servers after {} s: {}",
            self.connected(),
            polls.div_ceil(2),
            self.who_thinks_what()
        ))
    }

    /// The term of all connected servers. Fails if they are in different terms.
    #[track_caller]
    pub fn check_terms(&self) -> u64 {
        let mut agreed = None;
        for i in (0..self.n()).filter(|&i| self.is_connected(i)) {
            let Some((term, _)) = self.state(i) else {
                continue;
            };
            if *agreed.get_or_insert(term) != term {
                run::fail(format!("servers disagree on the term: {}", self.who_thinks_what()));
            }
        }
        agreed.unwrap_or_else(|| {
            run::fail("no connected server is running, so none can be asked for its term")
        })
    }

    /// Fails if a connected server says that it is the leader.
    #[track_caller]
    pub fn check_no_leader(&self) {
        let mut asked = 0;
        for i in (0..self.n()).filter(|&i| self.is_connected(i)) {
            let state = self.state(i);
            asked += usize::from(state.is_some());
            if let Some((term, true)) = state {
                run::fail(format!(
                    "{} says that it leads term {term}, but only {} of {} servers are connected: no majority \
                     can have elected it (§5.2). Election Safety (Figure 3) rests on this rule",
                    name(i),
                    self.connected(),
                    self.n()
                ));
            }
        }
        if asked == 0 {
            run::fail("no connected server is running, so none can be asked whether it leads");
        }
    }

    /// How many servers have applied a command at `index`, and which command. When commands are applied, the tester checks that
    /// all servers apply the same one.
    pub fn n_committed(&self, index: u64) -> (usize, Option<Command>) {
        self.ledger().lock().committed(index)
    }

    /// Fails if a server has applied something at `index`. `why` says why that can't happen.
    #[track_caller]
    pub fn check_not_committed(&self, index: u64, why: &str) {
        let (count, found) = self.n_committed(index);
        if count > 0 {
            let who = names(&self.ledger().lock().who_has(index));
            let what = found.map_or("something".into(), |command| show(&command));
            run::fail(format!(
                "{count} servers ({who}) have applied {what} at index {index}, {why}"
            ));
        }
    }

    /// Gives `value` to a leader, waits until at least `servers` servers have applied it, and returns its index. This may take
    /// ten seconds, and the leader may change meanwhile. If the servers have not applied the value two seconds after a leader
    /// accepted it, then with `retry` it is given to a leader again, and without `retry` the test fails.
    #[track_caller]
    pub fn one(&self, value: impl ToString, servers: usize, retry: bool) -> u64 {
        self.one_command(&command(value), servers, retry)
    }

    /// Like [`Cluster::one`], with a command that is already encoded.
    #[track_caller]
    pub fn one_command(&self, command: &Command, servers: usize, retry: bool) -> u64 {
        let began = Instant::now();
        let mut next = 0;
        let mut last_try = "no connected server accepted it".to_string();
        while began.elapsed() < ONE_TRIES {
            let Some((leader, index)) = self.offer(command, &mut next) else {
                self.sleep(ms(50));
                continue;
            };
            let offered = Instant::now();
            while offered.elapsed() < ONE_WAITS {
                let (count, found) = self.n_committed(index);
                if count >= servers && found.as_ref() == Some(command) {
                    return index;
                }
                self.sleep(ms(20));
            }
            last_try = self.why_not(command, leader, index, servers);
            if !retry {
                break;
            }
        }
        run::fail(format!(
            "within {:.1} s, fewer than {servers} servers applied command {}: {last_try}; {}",
            began.elapsed().as_secs_f64(),
            show(command),
            self.who_thinks_what()
        ))
    }

    /// Tries the connected servers in turn, and gives the command to the first one that accepts it as the leader.
    fn offer(&self, command: &Command, next: &mut usize) -> Option<(usize, u64)> {
        for _ in 0..self.n() {
            let i = *next;
            *next = (*next + 1) % self.n();
            if self.is_connected(i)
                && let Ok(started) = self.start(i, command)
            {
                return Some((i, started.index));
            }
        }
        None
    }

    fn why_not(&self, command: &Command, leader: usize, index: u64, servers: usize) -> String {
        let (count, found) = self.n_committed(index);
        let connected: Vec<_> = (0..self.n()).filter(|&i| self.is_connected(i)).collect();
        let ledger = self.ledger().lock();
        let have = ledger.who_has(index);
        let lack = connected.iter().filter(|i| !have.contains(i));
        let lack =
            lack.map(|&i| format!("; {} has applied up to index {}", name(i), ledger.last_of(i)));
        let lack: String = lack.collect();
        drop(ledger);
        let (who, leader) = (names(&have), name(leader));
        match found {
            None => format!(
                "{leader} accepted the command at index {index}, but no server has applied anything at that index"
            ),
            Some(found) if found == *command => format!(
                "{leader} accepted the command at index {index}. {count} servers applied it ({who}), but {servers} servers must \
                 apply it{lack}"
            ),
            Some(found) => format!(
                "{leader} accepted the command at index {index}, but {who} applied {} at that index",
                show(&found)
            ),
        }
    }

    /// Waits until at least `servers` servers have applied a command at `index`, and returns that command. Returns `None` as soon
    /// as a server is in a newer term than `term`, because then the command may never be committed.
    #[track_caller]
    pub fn wait(&self, index: u64, servers: usize, term: Option<u64>) -> Option<Command> {
        let mut pause = ms(10);
        for _ in 0..30 {
            if self.n_committed(index).0 >= servers {
                break;
            }
            self.sleep(pause);
            if pause < Duration::from_secs(1) {
                pause *= 2;
            }
            if let Some(term) = term
                && (0..self.n()).any(|i| self.state(i).is_some_and(|(now, _)| now > term))
            {
                return None;
            }
        }
        let (count, found) = self.n_committed(index);
        if count < servers {
            run::fail(format!(
                "only {count} servers have applied index {index}, but {servers} servers must apply it; {}",
                self.who_thinks_what()
            ));
        }
        found
    }

    /// One line that says what every server believes, and one line for each oddity of recent elections.
    pub fn who_thinks_what(&self) -> String {
        let servers = (0..self.n()).map(|i| {
            let cut = if self.is_connected(i) { "" } else { ", cut off" };
            match self.state(i) {
                None => format!("{} is down", name(i)),
                Some((term, true)) => format!("{} leads term {term}{cut}", name(i)),
                Some((term, false)) => format!("{} is in term {term}{cut}", name(i)),
            }
        });
        let beliefs = servers.collect::<Vec<_>>().join("; ");
        let odd = self.elections().into_iter().chain(self.silence());
        odd.fold(beliefs, |text, odd| text + "\n" + &odd)
    }

    /// If no server has ever sent a message: a sentence that says so, and what it may mean.
    fn silence(&self) -> Option<String> {
        let silent = self.n() > 1 && self.net().total_count() == 0;
        let text = "no server has sent a message yet. A follower that hears no leader for an election timeout must become a \
                    candidate and ask for votes (§5.2)";
        let suspicion = run::suspect_the_clock().map_or(String::new(), |text| format!("; {text}"));
        silent.then(|| text.to_string() + &suspicion)
    }
}
