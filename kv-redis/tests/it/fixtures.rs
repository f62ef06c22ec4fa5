//! The groups of servers that other tests stand on: they do what their names say, as a client sees it.

use std::path::Path;

use libtest_mimic::Failed;

use crate::GroupRow;
use crate::support::cluster::{Cluster, SLOTS};
use crate::support::ensure_eq;
use crate::support::sentinel::Sentinels;

pub(crate) const TESTS: &[GroupRow] = &[
    ("fixtures::a_cluster_moves_slots_and_fails_over", cluster),
    ("fixtures::sentinels_name_a_new_primary", sentinels),
];

/// The slot of the key `foo`, by the documentation of `CLUSTER KEYSLOT`'s formula.
const FOO: u16 = 12_182;

fn cluster(program: &Path) -> Result<(), Failed> {
    let mut cluster = Cluster::start(program, &[])?;
    ensure_eq!(cluster.primaries()?, [0, 1, 2]);
    ensure_eq!(cluster.hosts().split(',').count(), 6);
    ensure_eq!([0, FOO, SLOTS - 1].map(|slot| cluster.primary_of(slot).ok()), [Some(0), Some(2), Some(2)]);
    cluster.control(2)?.ask::<()>(&["SET", "foo", "bar"])?;

    // The keys go with their slots, and the old owner says where to.
    cluster.move_slots(2, 0, FOO - 10..FOO + 10)?;
    ensure_eq!([FOO, FOO - 11, FOO + 10].map(|slot| cluster.primary_of(slot).ok()), [Some(0), Some(2), Some(2)]);
    ensure_eq!(cluster.control(0)?.ask::<String>(&["GET", "foo"])?, "bar");
    let elsewhere = cluster.control(2)?.ask::<String>(&["GET", "foo"]).unwrap_err().to_string();
    ensure_eq!(elsewhere.contains(&format!("127.0.0.1:{}", cluster.nodes()[0].port())), true, "{elsewhere}");
    cluster.wait_until_settled()?;

    // Its replica takes over, by the name that the node itself has; then the old primary comes back as a replica.
    cluster.kill(0);
    ensure_eq!(cluster.nodes()[0].runs(), false);
    cluster.wait_until("the replica has taken over", |cluster| Ok(cluster.primary_of(FOO)? == 3))?;
    ensure_eq!(cluster.control(3)?.ask::<String>(&["CLUSTER", "MYID"])?, cluster.nodes()[3].id());
    ensure_eq!(cluster.control(3)?.ask::<String>(&["GET", "foo"])?, "bar");
    cluster.resume(0)?;
    cluster.wait_until_settled()?;
    let mut primaries = cluster.primaries()?;
    primaries.sort_unstable();
    ensure_eq!(primaries, [1, 2, 3]);

    // A frozen primary is replaced like a dead one, and gives way when it goes on.
    cluster.pause(3)?;
    cluster.wait_until("the first primary is one again", |cluster| Ok(cluster.primary_of(FOO)? == 0))?;
    cluster.unpause(3)?;
    cluster.wait_until_settled()?;
    ensure_eq!(cluster.primary_of(FOO)?, 0);
    ensure_eq!(cluster.control(0)?.ask::<String>(&["GET", "foo"])?, "bar");
    Ok(())
}

fn sentinels(program: &Path) -> Result<(), Failed> {
    let mut group = Sentinels::start(program, &[])?;
    ensure_eq!(group.hosts().split(',').count(), 3);
    let first = group.primary()?;
    group.server(first)?.ask::<()>(&["SET", "k", "v"])?;

    ensure_eq!(group.kill_primary()?, first);
    let second = group.wait_for_new_primary(first)?;
    ensure_eq!((second, group.primary()?), (1 - first, 1 - first));
    ensure_eq!(group.server(second)?.ask::<String>(&["GET", "k"])?, "v");
    // The old one is told that it is a replica now, and has what the new one has.
    group.resume(first)?;
    group.wait_until_settled()?;
    ensure_eq!(group.server(first)?.ask::<String>(&["GET", "k"])?, "v");

    // Two of three are enough; a frozen primary is replaced like a dead one.
    group.kill_sentinel(0);
    let old = group.pause_primary()?;
    let new = group.wait_for_new_primary(old)?;
    group.unpause(old)?;
    group.resume_sentinel(0)?;
    group.wait_until_settled()?;
    ensure_eq!(group.server(new)?.ask::<String>(&["GET", "k"])?, "v");
    Ok(())
}
