//! The tests beyond the lab, on the reference.

use labrpc::Persister;
use labrpc::api::kv::Served;
use labrpc::{ClientEnd, api::Make};
use labtests::lab::Lab;
use labtests::runner::{self, World};
use raftlab::kv::{Clerk, KvServer, Reads};
use raftlab::raft::{Options, Raft};

fn asking() -> Options {
    Options { lease: None, ..Options::beyond_the_lab() }
}

fn store(
    options: Options,
) -> impl Fn(Vec<ClientEnd>, usize, Persister, Option<usize>) -> Served<KvServer> {
    let raft: Make = labtests::make(Raft::with(options));
    KvServer::reading(Reads::ByIndex, raft)
}

labtests::prevote_suite!(Raft::with(Options::beyond_the_lab()));
labtests::transfer_suite!(Raft::with(Options::beyond_the_lab()));
labtests::reads_suite!(Raft::with(asking()), store(asking()), Clerk::spreading_reads);
labtests::lease_suite!(
    Raft::with(Options::beyond_the_lab()),
    store(Options::beyond_the_lab()),
    Clerk::new
);
labtests::members_suite!(
    Raft::with_members(Options::beyond_the_lab()),
    KvServer::of_members(
        Reads::ByIndex,
        labtests::make_member(Raft::with_members(Options::beyond_the_lab()))
    ),
    Clerk::spreading_reads
);
labtests::flow_suite!(Raft::with(Options::beyond_the_lab()));

/// Everything in the reference's messages has the paper's names, or does not matter to the checks.
#[test]
fn everything_that_it_says_can_be_read() {
    let lab = Lab::new()
        .raft(Raft::with(Options::beyond_the_lab()))
        .members(Raft::with_members(Options::beyond_the_lab()));
    let tests = ["figure_8", "persist3", "snapshot_install_crash", "membership_of_every_size"];
    for test in tests.map(|name| lab.tests().find(|test| test.name == name).unwrap()) {
        let report = runner::run_one(&lab, test, 1, World::Simulated);
        assert_eq!(report.coverage.unchecked(), [""; 0], "{}", test.name);
    }
}
