//! Tests the tester: what it reports about a faulty Raft. Each Raft here has one fault, and the report must name it.

use labrpc::api::{ApplyMsg, Command, Raft, Refused, Snapshot, Started};
use labrpc::channel::Sender;
use labrpc::run::FailureKind;
use labrpc::sync::Mutex;
use labrpc::{ClientEnd, Persister, Service, thread, time};
use labtests::lab::Lab;
use labtests::report::{self, Again};
use labtests::runner::{self, Report, World};
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NeverElects,
    CommitsNothing,
    AllLead,
    StartBlocks,
    PanicsInItsThread,
    IgnoresKill,
    AppliesOutOfOrder,
    AppliesItsOwn,
    Deadlocks,
    CallsWhatIsNotThere,
}

/// A server that is not a Raft.
struct Fake {
    wrong: Wrong,
    me: usize,
    apply_ch: Mutex<Option<Sender<ApplyMsg>>>,
    lock: Arc<Mutex<()>>,
}

impl Fake {
    fn make(
        wrong: Wrong,
        mut peers: Vec<ClientEnd>,
        me: usize,
        apply_ch: Sender<ApplyMsg>,
    ) -> (Arc<Fake>, Vec<Service>) {
        let next = peers.swap_remove((me + 1) % 3);
        let lock = Arc::new(Mutex::new(()));
        let held = lock.clone();
        let body = move || match wrong {
            Wrong::PanicsInItsThread => {
                time::sleep(Duration::from_millis(700));
                panic!("index out of range")
            }
            Wrong::IgnoresKill => loop {
                time::sleep(Duration::from_millis(100));
            },
            Wrong::Deadlocks => {
                let _held = held.lock();
                let _again = held.lock();
            }
            Wrong::CallsWhatIsNotThere => _ = next.call::<_, ()>("Raft.RequstVote", &1u64),
            _ => {}
        };
        let thread = thread::Builder::new().name("ticker").spawn(body);
        drop(thread);
        let apply_ch = Mutex::new(Some(apply_ch));
        let service = Service::new("Raft").method("RequestVote", |(): ()| false);
        (Arc::new(Fake { wrong, me, apply_ch, lock }), vec![service])
    }

    fn apply(&self, index: u64, command: Command) {
        let apply_ch = self.apply_ch.lock().clone();
        if let Some(apply_ch) = apply_ch {
            let _ = apply_ch.send(ApplyMsg::Command { index, term: 1, command });
        }
    }
}

impl Raft for Fake {
    fn start(&self, command: Command) -> Result<Started, Refused> {
        match self.wrong {
            Wrong::StartBlocks => loop {
                time::sleep(Duration::from_secs(1));
            },
            Wrong::CommitsNothing if self.me == 0 => {}
            Wrong::AppliesOutOfOrder => self.apply(2, command),
            Wrong::AppliesItsOwn => self.apply(1, Command::from(vec![b'0' + self.me as u8])),
            _ => return Err(Refused::NotLeader { leader: None }),
        }
        if self.wrong == Wrong::AppliesItsOwn {
            return Err(Refused::NotLeader { leader: None });
        }
        Ok(Started { index: 1, term: 1 })
    }

    fn get_state(&self) -> (u64, bool) {
        let _held = self.lock.lock();
        let leads = match self.wrong {
            Wrong::AllLead => true,
            Wrong::IgnoresKill | Wrong::CommitsNothing => self.me == 0,
            _ => false,
        };
        (1, leads)
    }

    fn snapshot(&self, _: u64, _: Snapshot) {}

    fn kill(&self) {
        self.apply_ch.lock().take();
    }
}

fn run(wrong: Wrong, test: &str) -> Report {
    let make = labtests::make(move |peers, me, _: Persister, apply_ch| {
        Fake::make(wrong, peers, me, apply_ch)
    });
    let test = runner::select(test).unwrap()[0];
    runner::run_one(&Lab::from(make).strict(), test, 7, World::Simulated)
}

/// Runs a test on a faulty Raft. The test must fail with this kind, and the report must contain these words.
#[track_caller]
fn expect(wrong: Wrong, test: &str, kind: FailureKind, words: &[&str]) {
    let report = run(wrong, test);
    let failure = report.result.as_ref().expect_err("the test passed on a Raft that is wrong");
    let text = report::failure(&report, &Again::Command("raftlab".into()));
    assert_eq!(failure.kind, kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing from\n{text}");
    }
    assert!(text.contains("seed 7"), "{text}");
    assert!(text.contains(&format!("raftlab replay 7 {}", report.test.name)), "{text}");
}

#[test]
fn no_leader_is_said_with_what_each_server_believes() {
    let words = [
        "no leader among 3 connected servers",
        "S2 is in term 1",
        "the last events",
        "broken: Progress",
        "how far each server is:",
        "S1 is a follower in term 1",
    ];
    expect(Wrong::NeverElects, "initial_election", FailureKind::Test, &words);
}

#[test]
fn a_command_that_nobody_commits_breaks_progress() {
    let words = ["broken: Progress", "servers applied command", "S0 leads term 1"];
    expect(Wrong::CommitsNothing, "basic_agree", FailureKind::Test, &words);
}

#[test]
fn two_leaders_in_a_term_break_election_safety() {
    let words = ["S0 and S1 both lead term 1", "broken: Election Safety (Figure 3, §5.2)"];
    expect(Wrong::AllLead, "initial_election", FailureKind::Test, &words);
}

#[test]
fn a_call_that_never_returns_is_named_with_its_place() {
    let words =
        ["30s of virtual time", "test/main has been in start() on S0 since 0.0", "failures.rs"];
    expect(Wrong::StartBlocks, "basic_agree", FailureKind::Stuck, &words);
}

#[test]
fn a_panic_in_a_server_names_thread_time_and_place() {
    let words =
        ["index out of range", "/ticker", "virtual time 0.70", "labtests/tests/failures.rs"];
    expect(Wrong::PanicsInItsThread, "initial_election", FailureKind::Panic, &words);
}

#[test]
fn a_thread_that_outlives_kill_is_named() {
    let words = ["S0/ticker, S1/ticker, S2/ticker", "kill() must wake every thread"];
    expect(Wrong::IgnoresKill, "initial_election", FailureKind::Leak, &words);
}

#[test]
fn commands_out_of_order_are_named_with_the_index_that_was_due() {
    let words = [
        "S0 applied index 2 after index 0, but index 1 comes next",
        "broken: State Machine Safety",
    ];
    expect(Wrong::AppliesOutOfOrder, "basic_agree", FailureKind::Test, &words);
}

#[test]
fn two_commands_at_one_index_break_state_machine_safety() {
    let words =
        ["applied \"1\" at index 1", "S0 had applied \"0\" at that", "State Machine Safety"];
    expect(Wrong::AppliesItsOwn, "basic_agree", FailureKind::Test, &words);
}

#[test]
fn a_self_deadlock_is_reported_when_it_closes() {
    let words = ["ticker takes a lock that it already holds", "virtual time 0.00"];
    expect(Wrong::Deadlocks, "initial_election", FailureKind::Deadlock, &words);
}

#[test]
fn a_method_that_is_not_there_is_a_mistake_and_not_a_lost_call() {
    let words = ["\"Raft.RequstVote\"", "it has Raft.RequestVote"];
    expect(Wrong::CallsWhatIsNotThere, "initial_election", FailureKind::Panic, &words);
}
