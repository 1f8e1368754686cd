//! A stage for scripted schedules. A script says which server may speak to which, and which messages are held until later.
//! The paper's figures show such schedules, and a random run seldom meets them.
//!
//! The stage recognizes the kind of a message by the names of its fields, or otherwise by the name of the method. So a script
//! plays on any Raft.

use crate::cluster::{Cluster, name, parse_end};
use crate::limits::ELECTION_TIMEOUT;
use crate::reading::{Ask, Part, Place, Reading, Reply};
use labrpc::describe::Value;
use labrpc::network::{Fate, Leg, Letter};
use labrpc::time::{Duration, Instant};
use labrpc::trace::{Act, Deed};
use labrpc::{run, trace};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;

/// The kind of a message, in any Raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RequestVote, or the reply to it.
    Vote,
    /// AppendEntries.
    Entries,
    /// InstallSnapshot.
    Snapshot,
    /// A pre-vote, a TimeoutNow, or another message that only this implementation has.
    Other,
}

/// A message as a script sees it.
#[derive(Clone, Debug)]
pub struct Mail {
    /// When the message was sent.
    pub at: Instant,
    /// The call that the message belongs to.
    pub call: u64,
    /// The server that makes the call. A reply to the call has the same `from`.
    pub from: usize,
    /// The server that is called.
    pub to: usize,
    /// Whether this is the call itself or the reply to it.
    pub leg: Leg,
    /// What kind of message it is.
    pub kind: Kind,
    /// The term of the call, if it can be read.
    pub term: Option<u64>,
    /// In AppendEntries: the index of the last entry that the call is about, if it can be read. In InstallSnapshot: the last
    /// index that the snapshot covers.
    pub last: Option<u64>,
    /// How many entries the message carries, if that can be read.
    pub carries: usize,
    /// Whether the kind of the call could not be recognized.
    pub unknown: bool,
    /// The content of a reply.
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

    /// Whether the message is a call, and not a reply.
    pub fn is_call(&self) -> bool {
        self.leg == Leg::Request
    }

    /// The term as text for a failure message: ` in term 7`, or nothing.
    pub fn in_term(&self) -> String {
        self.term.map_or_else(String::new, |term| format!(" in term {term}"))
    }
}

type Director = Box<dyn Fn(&Mail) -> Fate + Send + Sync>;
type ClientDirector = Box<dyn Fn(&Letter) -> Fate + Send + Sync>;

/// Whether a server sent this message to itself. Some candidates ask themselves for their vote, too. A script leaves such
/// messages alone.
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
    /// Every message since the stage was made.
    mail: Vec<Mail>,
}

/// The last index that any of these AppendEntries is about. It is `None` if one of them can't be read, because that one may go
/// further than the others.
pub fn end_of(entries: &[Mail]) -> Option<u64> {
    let ends: Option<Vec<_>> = entries.iter().map(|mail| mail.last).collect();
    ends?.into_iter().max()
}

/// How long ago "just now" is. No election timeout is shorter than the time between two heartbeats, of which the lab allows ten
/// a second: 100 ms. The range begins at 5 ms because a server may become a candidate as the leader's message arrives, and its
/// request may be sent a moment later.
const JUST: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(100);

/// How long it takes until the followers have the entry with which a leader may begin its term (§8). Sending the entry and
/// repairing a log take one heartbeat each.
const SETTLES: Duration = Duration::from_millis(300);

/// How often a leader may send what a follower refused, because several such messages may be on their way at once. It is as
/// many as the heartbeats of half a second.
const IN_VAIN: usize = 10;

/// The time within which a chosen server must be elected. It may need many elections.
const ELECTED_WITHIN: Duration = Duration::from_secs(60);

/// The tries of a script whose scene depends on chance. There are at most 20 tries, and none begins after a minute, so that the
/// test ends within its two minutes. If the messages can't be read, the script never sees its scene.
pub fn tries() -> impl Iterator<Item = usize> {
    let began = Instant::now();
    (0..20).take_while(move |_| began.elapsed() < Duration::from_secs(60))
}

impl<'a> Stage<'a> {
    /// A stage that delivers and records every message.
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

    /// From now on, `director` decides the fate of each message between servers.
    pub fn direct(&self, director: impl Fn(&Mail) -> Fate + Send + Sync + 'static) {
        self.scene.lock().director = Some(Arc::new(Box::new(director)));
    }

    /// From now on, `director` decides the fate of each message between clients and servers.
    pub fn direct_clients(&self, director: impl Fn(&Letter) -> Fate + Send + Sync + 'static) {
        self.scene.lock().client_director = Some(Arc::new(Box::new(director)));
    }

    /// From now on every message is delivered, and so are the messages that were held.
    pub fn all_pass(&self) {
        self.direct(|_| Fate::Deliver);
        self.direct_clients(|_| Fate::Deliver);
        self.cluster.net().release(|_| true);
    }

    /// Every recorded message for which `which` is true.
    pub fn mail(&self, which: impl Fn(&Mail) -> bool) -> Vec<Mail> {
        self.scene.lock().mail.iter().filter(|mail| which(mail)).cloned().collect()
    }

    /// Releases every held message for which `which` is true.
    pub fn release(&self, which: impl Fn(&Mail) -> bool) -> usize {
        self.cluster
            .net()
            .release(|letter| Mail::read(&self.reading, letter).is_some_and(|mail| which(&mail)))
    }

    /// Writes into the trace which step of the script begins.
    pub fn caption(&self, text: &str) {
        let text = || format!("-- {text}");
        trace::deed(|| Deed { act: Act::Caption, text: text(), ..Deed::default() });
    }

    /// Waits until something holds. Returns whether it held in time.
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

    /// Makes `leader` the leader by the votes of `voters`. Until then and afterwards, the voters hear `leader`, `leader` hears
    /// their replies, and no other message is delivered.
    #[track_caller]
    pub fn elect(&self, leader: usize, voters: &[usize]) -> u64 {
        self.elect_unfollowed(leader, voters, &[])
    }

    /// The same, but the AppendEntries that `leader` sends as the leader, perhaps with an entry of its own, don't reach
    /// `unfollowed`.
    #[track_caller]
    pub fn elect_unfollowed(&self, leader: usize, voters: &[usize], unfollowed: &[usize]) -> u64 {
        let (to, unfollowed) = (voters.to_vec(), unfollowed.to_vec());
        self.direct(move |mail| {
            let lost = mail.kind == Kind::Entries && unfollowed.contains(&mail.to);
            let passes = mail.from == leader && to.contains(&mail.to) && !lost;
            if passes { Fate::Deliver } else { Fate::Drop }
        });
        // A server that still leads an older term is no leader for servers that have seen a newer term.
        let term_of = |i: &usize| self.cluster.state(*i).map_or(0, |(term, _)| term);
        let leads = || {
            let Some((term, true)) = self.cluster.state(leader) else { return false };
            voters.iter().map(term_of).all(|voters| voters <= term)
        };
        let from = Instant::now();
        if !self.until(ELECTED_WITHIN, leads) {
            if !self.is_answered(leader, voters, from) {
                run::give_up(
                    "its servers seem to answer with calls of their own, and not with replies. The test elects a server by \
                     delivering only this server's calls and the replies to them. With such a Raft, this is not possible",
                );
            }
            run::fail(format!(
                "{} did not become the leader within {ELECTED_WITHIN:?}. It should have been elected, because it was the only \
                 server that {} could hear (§5.2); {}",
                name(leader),
                voters.iter().map(|&i| name(i).to_string()).collect::<Vec<_>>().join(", "),
                self.cluster.who_thinks_what()
            ));
        }
        term_of(&leader)
    }

    /// Whether the voters have answered by replies since `from`. This is so if a reply said yes or no, or if no voter made a
    /// call that may be an answer.
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

    /// Waits until `server` has acknowledged the whole present log of `leader`. Returns whether that happened; it returns
    /// `false` if messages can't be read. The indices are those in the messages. Those that a service knows may differ, because
    /// they may count only commands.
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

    /// The last index that `server` had acknowledged to `leader` in `term` at the time `by`.
    fn acknowledged(&self, server: usize, leader: usize, term: u64, by: Instant) -> Option<u64> {
        let accepted = self.mail(|mail| {
            let answer = mail.from == leader && mail.to == server && mail.kind == Kind::Entries;
            answer && mail.term == Some(term) && mail.reply.yes == Some(true) && mail.at <= by
        });
        accepted.iter().filter_map(|mail| mail.last).max()
    }

    /// Lets a leader's first messages arrive. If the leader begins its term with an entry of its own (§8), its followers have
    /// that entry afterwards.
    pub fn settle(&self) {
        self.cluster.sleep(SETTLES);
    }

    /// Ends the script: all servers hear each other, and one of them must lead.
    #[track_caller]
    pub fn over(&self) {
        self.all_pass();
        self.cluster.check_one_leader();
    }

    /// Fails if `server` became a candidate just after it had heard its leader. `heard` selects the answers, given in the
    /// leader's term, which show that `server` has heard the leader. A request for votes in that term or in an older term
    /// doesn't count: it is sent again, and its sender became a candidate before.
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
                    "{0} became a candidate{1}, {2:?} after it had answered {3}, the leader of its term. Every message from the \
                     current leader resets the election timeout, also InstallSnapshot, and also AppendEntries that the server \
                     refuses (§5.2, §7)",
                    name(server),
                    mail.in_term(),
                    since(answer),
                    name(answer.from)
                ));
            }
        }
    }

    /// For scripts in which every message has been delivered since `from` and `server` still lacks entries. Fails if `server`
    /// refused the same AppendEntries again and again.
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
                "{0} refused {refusals} AppendEntries from {1} in a row. All of them had the previous index {2}, and {1} sent \
                 nothing else to {0}. \"If AppendEntries fails because of log inconsistency: decrement nextIndex and retry\" \
                 (Figure 2, Leaders; §5.3). A leader must also do this after a refused heartbeat, even if no command comes; {3}",
                name(server),
                name(leader),
                follows(last).unwrap_or(0),
                self.cluster.who_thinks_what()
            ));
        }
    }

    /// Waits a while. Then warns if `leader` has sent a server entries since `from` that this server had acknowledged before.
    /// It is only a warning: an implementation that follows Figure 2 to the letter may do this, because an old refusal lowers
    /// nextIndex, and that harms nothing.
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
                "{0} re-sent {1} entries, up to index {last}, but {2} had already acknowledged these entries. In all, {0} \
                 re-sent acknowledged entries {3} times. That costs bytes and harms nothing. Replies may overtake each other, \
                 but matchIndex \"increases monotonically\" (Figure 2). So an old reply need not move nextIndex back behind \
                 matchIndex",
                name(leader),
                mail.carries,
                name(mail.to),
                again.len()
            ));
        }
    }
}
