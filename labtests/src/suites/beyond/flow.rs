//! Large and many things, a little at a time (thesis §10.2).

use super::super::{agree, reliable, tests};
use crate::cluster::Cluster;

tests! { "flow", Beyond(Flow):
    flow_basic = "FlowBasic", reliable(3);
}

fn flow_basic(cluster: &Cluster) {
    agree(cluster, 3, 3);
}
