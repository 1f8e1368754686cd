//! A stage for scripted schedules: who may speak to whom, and which messages wait for their cue. Schedules of that
//! kind are in the paper's figures, and a random run seldom meets them.
//!
//! Messages are told apart by what their fields are called, or else by their method's name, so a script plays on
//! anybody's Raft.

use crate::checks::ELECTION_TIMEOUT;
use crate::cluster::{Cluster, name, parse_end};
use crate::reading::{Ask, Part, Place, Reading, Reply};
use labrpc::describe::Value;
use labrpc::network::{Fate, Leg, Letter};
use labrpc::time::{Duration, Instant};
use labrpc::{run, trace};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;

/// What a message is, whoever's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RequestVote, or the reply to it.
    Vote,
    /// AppendEntries.
    Entries,
    /// InstallSnapshot.
    Snapshot,
    /// A pre-vote, an order to stand for election, or something else of the implementation's own.
    Other,
}

/// A message as a script sees it.
#[derive(Clone, Debug)]
pub struct Mail {
    /// When it set out.
    pub at: Instant,
    /// Which call it belongs to.
    pub call: u64,
    /// Whose call it is.
    pub from: usize,
    /// Whom the caller calls.
    pub to: usize,
    /// The call itself, or the reply to it.
    pub leg: Leg,
    /// What it is.
    pub kind: Kind,
    /// The term of the call, if it can be read.
    pub term: Option<u64>,
    /// Of entries: the index of the last that the call speaks of, if it can be read. Of a snapshot: up to where it goes.
    pub last: Option<u64>,
    /// How many entries it carries, if that can be read.
    pub carries: usize,
    /// Whether the call may be anything.
    pub unknown: bool,
    /// Of a reply: what it says.
    pub reply: Reply,
}

impl Mail {
    fn read(reading: &Reading, letter: &Letter) -> Option<Mail> {
        let (from, _, to) = parse_end(&letter.end)?;
        let what = |ask: &Ask<'_>, _: &Value| {
            let (kind, term, last, carries) = match ask {
                Ask::Vote { term, .. } => (Kind::Vote, *term, None, 0),
                Ask::Append { term, logs, .. } => {
                    (Kind::Entries, *term, logs.last_index(), logs.carries().unwrap_or(0))
                }
                Ask::Install { term, last, .. } => {
                    (Kind::Snapshot, *term, last.map(|Place { index, .. }| index), 0)
                }
                Ask::PreVote | Ask::Harmless | Ask::Unknown => (Kind::Other, None, None, 0),
            };
            (kind, term, last, carries, *ask == Ask::Unknown)
        };
        let (kind, term, last, carries, unknown) =
            reading.ask(&letter.end, letter.method, &letter.args, what);
        let part = match kind {
            Kind::Vote => Part::VoteReply,
            Kind::Snapshot => Part::InstallReply,
            Kind::Entries | Kind::Other => Part::AppendReply,
        };
        let said = |reply: &Arc<Value>| reading.reply(&letter.end, letter.method, part, reply);
        let reply = letter.reply.as_ref().map_or_else(Reply::default, said);
        let (at, call, leg) = (Instant::now(), letter.call, letter.leg);
        Some(Mail { at, call, from, to, leg, kind, term, last, carries, unknown, reply })
    }

    /// Whether it is a call, and not a reply.
    pub fn is_call(&self) -> bool {
        self.leg == Leg::Request
    }

    /// Its term for a message: ` in term 7`, or nothing.
    pub fn in_term(&self) -> String {
        self.term.map_or_else(String::new, |term| format!(" in term {term}"))
    }
}

type Director = Box<dyn Fn(&Mail) -> Fate + Send + Sync>;
type ClientDirector = Box<dyn Fn(&Letter) -> Fate + Send + Sync>;

/// Some candidates ask themselves for their vote, too. A script leaves such messages alone.
fn is_to_oneself(letter: &Letter) -> bool {
    parse_end(&letter.end).is_some_and(|(from, _, to)| from == to)
}

/// A cluster whose messages follow a script.
pub struct Stage<'a> {
    /// The servers.
    pub cluster: &'a Cluster,
    reading: Reading,
    scene: Arc<Mutex<Scene>>,
}

#[derive(Default)]
struct Scene {
    director: Option<Arc<Director>>,
    client_director: Option<Arc<ClientDirector>>,
    /// Every message since the curtain rose.
    mail: Vec<Mail>,
}

/// Up to where the log goes that these calls speak of. One that can't be read may go further than the others, so then it is unknown.
pub fn end_of(entries: &[Mail]) -> Option<u64> {
    let ends: Option<Vec<_>> = entries.iter().map(|mail| mail.last).collect();
    ends?.into_iter().max()
}

/// How long ago that was: nobody's election timeout is shorter than a heartbeat, of which the lab allows ten a second. Who
/// had begun to stand when the leader's message came may be heard a moment later.
const JUST: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(100);

/// Where a leader begins its term with an entry of its own (§8), its followers have it after so long: a message and its repair take
/// a heartbeat each.
const SETTLES: Duration = Duration::from_millis(300);

/// So often a leader may send what was refused: several of the kind may be on their way at once. Half a second of heartbeats is as many.
const IN_VAIN: usize = 10;

/// A chosen server must be elected within this: it may need many tries.
const ELECTED_WITHIN: Duration = Duration::from_secs(60);

/// The tries of a script whose scene depends on chance. There are at most 20, and none begins after a minute, so that the test ends within its
/// two minutes. A script never sees its scene if the messages can't be read.
pub fn tries() -> impl Iterator<Item = usize> {
    let began = Instant::now();
    (0..20).take_while(move |_| began.elapsed() < Duration::from_secs(60))
}

impl<'a> Stage<'a> {
    /// Everything is delivered, and noted.
    pub fn new(cluster: &'a Cluster) -> Stage<'a> {
        let scene = Arc::new(Mutex::new(Scene::default()));
        let reading = cluster.reading();
        let stage = Stage { cluster, reading: reading.clone(), scene: scene.clone() };
        cluster.net().intercept(move |letter| {
            if is_to_oneself(letter) {
                return Fate::Deliver;
            }
            let Some(mail) = Mail::read(&reading, letter) else {
                let director = scene.lock().client_director.clone();
                return director.map_or(Fate::Deliver, |director| director(letter));
            };
            let director = scene.lock().director.clone();
            let fate = director.map_or(Fate::Deliver, |director| director(&mail));
            scene.lock().mail.push(mail);
            fate
        });
        stage
    }

    /// From now on, this decides on each message.
    pub fn direct(&self, director: impl Fn(&Mail) -> Fate + Send + Sync + 'static) {
        self.scene.lock().director = Some(Arc::new(Box::new(director)));
    }

    /// From now on, this decides on each message between clients and servers.
    pub fn direct_clients(&self, director: impl Fn(&Letter) -> Fate + Send + Sync + 'static) {
        self.scene.lock().client_director = Some(Arc::new(Box::new(director)));
    }

    /// From now on everything is delivered, also what was held.
    pub fn all_pass(&self) {
        self.direct(|_| Fate::Deliver);
        self.direct_clients(|_| Fate::Deliver);
        self.cluster.net().release(|_| true);
    }

    /// Every message of which this is true, of those noted so far.
    pub fn mail(&self, which: impl Fn(&Mail) -> bool) -> Vec<Mail> {
        self.scene.lock().mail.iter().filter(|mail| which(mail)).cloned().collect()
    }

    /// Lets go of what is held and of which this is true.
    pub fn release(&self, which: impl Fn(&Mail) -> bool) -> usize {
        self.cluster
            .net()
            .release(|letter| Mail::read(&self.reading, letter).is_some_and(|mail| which(&mail)))
    }

    /// Says in the trace where in the script we are.
    pub fn caption(&self, text: &str) {
        trace::tester(|| format!("-- {text}"));
    }

    /// Waits until something holds; gives back whether it came to that in time.
    pub fn until(&self, longest: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        while !holds() {
            if began.elapsed() > longest {
                return false;
            }
            self.cluster.sleep(Duration::from_millis(2));
        }
        true
    }

    /// Makes `leader` the leader, by the votes of `voters`: only it is heard, and only by them. Afterwards its entries
    /// reach them, and nothing else reaches anybody.
    #[track_caller]
    pub fn elect(&self, leader: usize, voters: &[usize]) -> u64 {
        self.elect_unfollowed(leader, voters, &[])
    }

    /// The same; but what `leader` then sends as the leader, perhaps an entry of its own, doesn't reach `unfollowed`.
    #[track_caller]
    pub fn elect_unfollowed(&self, leader: usize, voters: &[usize], unfollowed: &[usize]) -> u64 {
        let (to, unfollowed) = (voters.to_vec(), unfollowed.to_vec());
        self.direct(move |mail| {
            let lost = mail.kind == Kind::Entries && unfollowed.contains(&mail.to);
            let passes = mail.from == leader && to.contains(&mail.to) && !lost;
            if passes { Fate::Deliver } else { Fate::Lose }
        });
        // One that was the leader before is none for those who have seen a newer term.
        let term_of = |i: &usize| self.cluster.state(*i).map_or(0, |(term, _)| term);
        let leads = || {
            let Some((term, true)) = self.cluster.state(leader) else { return false };
            voters.iter().map(term_of).all(|voters| voters <= term)
        };
        let from = Instant::now();
        if !self.until(ELECTED_WITHIN, leads) {
            if !self.is_answered(leader, voters, from) {
                run::give_up(
                    "its servers seem to answer by calls of their own, and not by replies: where only the calls of one server pass, and the replies to them, \
                     nobody can be elected",
                );
            }
            run::fail(format!(
                "{} did not become the leader within {ELECTED_WITHIN:?}, though it was the only one that {} could \
                 hear (§5.2); {}",
                name(leader),
                voters.iter().map(|&i| name(i).to_string()).collect::<Vec<_>>().join(", "),
                self.cluster.who_thinks_what()
            ));
        }
        term_of(&leader)
    }

    /// Whether the voters answer by replies since then: a reply says yes or no, or no voter made a call that may be an answer.
    fn is_answered(&self, leader: usize, voters: &[usize], from: Instant) -> bool {
        let replied = |mail: &Mail| mail.from == leader && mail.reply.yes.is_some();
        let called = |mail: &Mail| {
            let to_leader = mail.to == leader && voters.contains(&mail.from);
            to_leader && mail.is_call() && mail.unknown
        };
        let since = |which: &dyn Fn(&Mail) -> bool| {
            !self.mail(|mail| mail.at >= from && which(mail)).is_empty()
        };
        since(&replied) || !since(&called)
    }

    /// Waits until `server` has told `leader` that its log goes as far as the leader's does now. Whether it came to that: what can't be
    /// read says nothing. Indexes are those of messages, and not those that a service knows: these may count commands alone.
    pub fn has_all_of(&self, server: usize, leader: usize) -> bool {
        let from = Instant::now();
        self.until(2 * ELECTION_TIMEOUT, || {
            let sent = self.mail(|mail| {
                let entries = mail.from == leader && mail.kind == Kind::Entries;
                entries && mail.is_call() && mail.at >= from
            });
            let Some((end, term)) = end_of(&sent).zip(sent.last().and_then(|mail| mail.term))
            else {
                return false;
            };
            self.acknowledged(server, leader, term, Instant::now()).is_some_and(|last| last >= end)
        })
    }

    /// Up to where `server` had acknowledged the log of the leader of a term by then.
    fn acknowledged(&self, server: usize, leader: usize, term: u64, by: Instant) -> Option<u64> {
        let accepted = self.mail(|mail| {
            let answer = mail.from == leader && mail.to == server && mail.kind == Kind::Entries;
            answer && mail.term == Some(term) && mail.reply.yes == Some(true) && mail.at <= by
        });
        accepted.iter().filter_map(|mail| mail.last).max()
    }

    /// Lets a leader's first messages arrive: it may begin its term with an entry of its own (§8), and then its followers have that.
    pub fn settle(&self) {
        self.cluster.sleep(SETTLES);
    }

    /// The script is over: everybody hears everybody, and one leads.
    #[track_caller]
    pub fn over(&self) {
        self.all_pass();
        self.cluster.check_one_leader();
    }

    /// Who has just heard its leader doesn't stand for election. `heard`: the answers, given in the leader's term, that show
    /// that `server` has heard it. A request for votes of that term, or an older one, is sent again: its sender stood before.
    #[track_caller]
    pub fn waits_for_its_leader(&self, server: usize, heard: impl Fn(&Mail) -> bool) {
        let heard = self
            .mail(|mail| heard(mail) && mail.reply.term.is_some() && mail.reply.term == mail.term);
        let stands = |mail: &Mail| mail.from == server && mail.kind == Kind::Vote && mail.is_call();
        for mail in self.mail(stands) {
            let since = |answer: &Mail| mail.at.saturating_duration_since(answer.at);
            let just = |answer: &&Mail| mail.term > answer.term && JUST.contains(&since(answer));
            if let Some(answer) = heard.iter().find(just) {
                run::fail(format!(
                    "{} stands for election{}, {:?} after it answered {}, the leader of its term. What comes from \
                     the leader resets the election timeout, whether it is of use or not: AppendEntries that don't fit, \
                     and InstallSnapshot (§5.2, §7)",
                    name(server),
                    mail.in_term(),
                    since(answer),
                    name(answer.from)
                ));
            }
        }
    }

    /// Where everything has passed since `from`, and `server` lacks something: fails if it refused one and the same thing again and again.
    #[track_caller]
    pub fn refused_in_vain(&self, server: usize, from: Instant) {
        let sent = self.mail(|mail| mail.to == server && mail.is_call() && mail.at > from);
        let follows = |mail: &Mail| mail.last.map(|last| last.saturating_sub(mail.carries as u64));
        let Some(last) = sent.last().filter(|mail| follows(mail).is_some()) else { return };
        let same = |mail: &&Mail| mail.from == last.from && follows(mail) == follows(last);
        let calls: Vec<_> = sent.iter().rev().take_while(same).map(|mail| mail.call).collect();
        let refused = |mail: &Mail| mail.reply.yes == Some(false) && calls.contains(&mail.call);
        let (refusals, leader) = (self.mail(refused).len(), last.from);
        if refusals >= IN_VAIN {
            run::fail(format!(
                "{} refused {refusals} heartbeats of {} in a row, which follow index {}, and was sent nothing else. \"If AppendEntries fails \
                 because of log inconsistency: decrement nextIndex and retry\" (Figure 2, Leaders; §5.3), also if it is a heartbeat that was \
                 refused, and no command comes; {}",
                name(server),
                name(leader),
                follows(last).unwrap_or(0),
                self.cluster.who_thinks_what()
            ));
        }
    }

    /// Waits a while; then `leader` should have sent nobody an entry again since `from` that it had acknowledged before. Who follows Figure 2 to
    /// the letter may: an old refusal lowers nextIndex, and that harms nothing.
    pub fn nothing_again(&self, leader: usize, from: Instant) {
        self.cluster.sleep(3 * ELECTION_TIMEOUT / 2);
        let again = self.mail(|mail| {
            let entries = mail.from == leader && mail.is_call() && mail.carries > 0;
            mail.at > from && entries && mail.last.is_some()
        });
        let had = |mail: &Mail| self.acknowledged(mail.to, leader, mail.term?, from);
        let again: Vec<_> = again.into_iter().filter(|mail| mail.last <= had(mail)).collect();
        if let Some((mail, last)) = again.first().and_then(|mail| Some((mail, mail.last?))) {
            self.cluster.advise(format!(
                "{} sends {} entries to {} again, up to index {last}, all of which that had acknowledged; {} times. That costs, and harms \
                 nothing. Replies overtake one another: matchIndex \"increases monotonically\" (Figure 2), and nextIndex need not go back \
                 behind it for an old reply",
                name(leader),
                mail.carries,
                name(mail.to),
                again.len()
            ));
        }
    }
}
