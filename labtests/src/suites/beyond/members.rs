//! Members come and go, one at a time (thesis §4).

use super::super::{agree, members, reliable, service, tests, unreliable};
use crate::clients::Texts;
use crate::cluster::{Cluster, name};
use labrpc::run;

tests! { "members", Beyond(Members):
    grow = "Grow", members(1, reliable(5));
}

tests! { STORE_TESTS = "members", Store(Members):
    store_grows = "StoreGrows", service(members(1, unreliable(5)), Some(1000));
}

/// From one server to five.
fn grow(cluster: &Cluster) {
    agree(cluster, 3, 1);
    for server in 1..5 {
        let leader = cluster.check_one_leader();
        if cluster.add_server(leader, server) != Some(Ok(())) {
            run::fail(format!(
                "{} can't add {}, and they hear each other",
                name(leader),
                name(server)
            ));
        }
        agree(cluster, 3, server + 1);
    }
}

fn store_grows(texts: &Texts) {
    let _ = texts;
}
