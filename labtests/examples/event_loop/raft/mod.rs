//! A Raft without a lock.

mod election;
mod event;
mod log;
mod messages;
mod one_way;
mod replication;
mod server;
pub mod shape;
mod snapshots;
mod threads;
mod words;

use event::{Event, ask};
use labrpc::api::{ApplyMsg, Command, Raft, Refused, Snapshot, Started};
use labrpc::channel::{self, Sender};
use labrpc::{ClientEnd, Persister, Service, thread};
use server::{Outside, Server};
use shape::{Carriage, Shape, Wording};
use std::sync::Arc;
use threads::Courier;
use words::{Convert, Enums, FromZero, Go, Paper, Tuples, Words};

/// The handle of a server. It passes every call on to the server's loop.
pub struct EventLoop {
    inbox: Sender<Event>,
}

impl EventLoop {
    pub fn make(
        shape: Shape,
        peers: Vec<ClientEnd>,
        me: usize,
        persister: Persister,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<EventLoop>, Vec<Service>) {
        let make = match shape.wording {
            Wording::Paper => make_in::<Paper>,
            Wording::FromZero => make_in::<FromZero>,
            Wording::Go => make_in::<Go>,
            Wording::Tuples => make_in::<Tuples>,
            Wording::Enums => make_in::<Enums>,
        };
        make(shape, peers, me, persister, apply_ch)
    }
}

impl Raft for EventLoop {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        let answer = ask(&self.inbox, |to| Event::Start(command, to));
        answer.unwrap_or(Err(Refused::Stopped))
    }

    fn get_state(&self) -> (u64, bool) {
        ask(&self.inbox, Event::GetState).unwrap_or_default()
    }

    fn snapshot(&self, index: u64, snapshot: Snapshot) {
        let _ = self.inbox.send(Event::Snapshot(index, snapshot));
    }

    fn kill(&self) {
        let _ = self.inbox.send(Event::Kill);
    }
}

fn make_in<W: Words>(
    shape: Shape,
    peers: Vec<ClientEnd>,
    me: usize,
    persister: Persister,
    apply: Sender<ApplyMsg>,
) -> (Arc<EventLoop>, Vec<Service>) {
    let (inbox, events) = channel::unbounded();
    let (timer, deadlines) = channel::unbounded();
    let service = match shape.carriage {
        Carriage::Replies => service::<W>(inbox.clone()),
        Carriage::Answers => one_way::answers::<W>(me, inbox.clone(), peers.clone()),
        Carriage::Steps => one_way::steps(me, inbox.clone(), peers.clone()),
    };
    let mut couriers = Vec::new();
    for (peer, end) in peers.into_iter().enumerate() {
        let (courier, letters) = channel::unbounded();
        couriers.push(courier);
        if peer != me || shape.asks_itself {
            let (inbox, asks_on) = (inbox.clone(), shape.asks_on);
            let courier = Courier { peer, end, letters, inbox, asks_on };
            let carriage = shape.carriage;
            spawn(&format!("courier to S{peer}"), move || match carriage {
                Carriage::Replies => courier.run::<W>(),
                Carriage::Answers => courier.run_one_way(me, one_way::send_answers::<W>),
                Carriage::Steps => courier.run_one_way(me, one_way::send_steps),
            });
        }
    }
    let saved: Option<W::Saved> = persister.raft_state();
    let saved = saved.map(Convert::back).unwrap_or_default();
    let outside = Outside { persister, save: server::save::<W>, timer, couriers };
    let server = Server::new(shape, me, saved, outside);
    let to_timer = inbox.clone();
    spawn("timer", move || threads::timer(&deadlines, &to_timer));
    spawn("loop", move || server.run(&events, &apply));
    (Arc::new(EventLoop { inbox }), vec![service])
}

/// Each call has a separate thread, which waits for the loop. A killed server answers with zeros, as in Go.
fn service<W: Words>(inbox: Sender<Event>) -> Service {
    let (votes, appends, snapshots) = (inbox.clone(), inbox.clone(), inbox);
    Service::new("Raft")
        .method("RequestVote", move |args: W::RequestVote| {
            let reply = ask(&votes, |to| Event::RequestVote(args.back(), to));
            W::Vote::of(reply.unwrap_or_default())
        })
        .method("AppendEntries", move |args: W::AppendEntries| {
            let reply = ask(&appends, |to| Event::AppendEntries(args.back(), to));
            W::Appended::of(reply.unwrap_or_default())
        })
        .method("InstallSnapshot", move |args: W::InstallSnapshot| {
            let reply = ask(&snapshots, |to| Event::InstallSnapshot(args.back(), to));
            W::Installed::of(reply.unwrap_or_default())
        })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name).spawn(body).expect("the system has threads");
}
