//! What a guest could make the host keep by values, cached results and versioned handles.

use std::sync::Arc;

use wasmtime::component::{ComponentType, Lift};

use crate::on;
use crate::run::Running;

const MIB: u32 = 1 << 20;

const HELD: &str = "the values that this program holds exceed the limit of 268435456 bytes";

async fn hoard(running: &mut Running, name: &str, of: (u32, u32)) -> (u32, String) {
    running.call::<_, ((u32, String),)>(name, of).await.unwrap().0
}

#[tokio::test]
async fn values_that_are_held_have_an_end_which_is_the_instances_own() {
    let program = on("hostile-values", &kv_memory::open_named("").unwrap());
    let mut running = program.start().await;
    assert_eq!(hoard(&mut running, "hoard-values", (300, MIB)).await, (256, HELD.to_owned()));
    // All were given back with the call.
    assert_eq!(hoard(&mut running, "hoard-values", (256, MIB)).await, (256, String::new()));
    assert_eq!(hoard(&mut program.start().await, "hoard-values", (256, MIB)).await, (256, String::new()));
}

#[tokio::test]
async fn a_value_of_many_pieces_is_counted_and_kept_as_one() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile-values", &store);
    let mut running = program.start().await;
    let mut write = async |n: u32, bytes: u32| {
        running.call::<_, (Result<(), String>,)>("write-pieces", ("b", "k", n, bytes)).await.unwrap().0
    };
    assert_eq!(write(100_000, 3).await, Ok(()));
    assert_eq!(store.open_bucket("b").await.unwrap().get("k").await.unwrap().unwrap().len(), 300_000);
    assert_eq!(write(300, MIB).await, Err(HELD.to_owned()));
}

/// The host counts what it has read for the guest before the guest takes it.
#[tokio::test]
async fn results_that_are_not_taken_have_an_end() {
    let store = kv_memory::open_named("").unwrap();
    store.open_bucket("cache").await.unwrap().set("k", vec![7; 8 << 20]).await.unwrap();
    let program = on("hostile-values", &store);
    let mut running = program.start().await;
    let (values, refused): (u32, String) = {
        let (pair,): ((u32, String),) = running.call("read-untaken", ("k", 40_u32)).await.unwrap();
        pair
    };
    assert_eq!((values, refused.as_str()), (32, HELD));
}

/// On one thread nothing that the guest began has run before it lets go of it.
#[tokio::test]
async fn writes_that_nobody_waits_for_are_stored() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile-values", &store);
    let mut running = program.start().await;
    running.call::<_, ()>("write-untaken", (20_u32,)).await.unwrap();
    drop(running);
    program.guest.settled().await;
    assert_eq!(store.open_bucket("cache").await.unwrap().keys("", None, None).await.unwrap().keys.len(), 20);
}

/// They outlive the instance, and so does what stands for its place among others.
#[tokio::test]
async fn what_an_instance_keeps_is_kept_until_its_writes_are_done() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile-values", &store);
    let mut running = program.start().await;
    let places = [Arc::new(()), Arc::new(())];
    places.iter().for_each(|place| running.store.data_mut().kv.keep(Arc::clone(place)));
    running.call::<_, ()>("write-untaken", (20_u32,)).await.unwrap();
    drop(running);
    assert!(places.iter().all(|place| Arc::strong_count(place) == 2));
    program.guest.settled().await;
    assert!(places.iter().all(|place| Arc::strong_count(place) == 1));
    assert_eq!(store.open_bucket("cache").await.unwrap().keys("", None, None).await.unwrap().keys.len(), 20);
}

#[tokio::test]
async fn streams_are_handles_too() {
    let program = on("hostile-values", &kv_memory::open_named("").unwrap());
    let mut running = program.start().await;
    let (streams,): ((u32, String),) = running.call("hoard-streams", (60_000_u32,)).await.unwrap();
    assert_eq!(streams, (44_999, "too many handles: this program holds 90000, which is the limit".to_owned()));
    let (again,): ((u32, String),) = running.call("hoard-streams", (44_999_u32,)).await.unwrap();
    assert_eq!(again, (44_999, String::new()));
}

#[tokio::test]
async fn a_time_to_live_of_0_is_told_where_a_stream_would_hide_it() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile-values", &store);
    let mut running = program.start().await;
    let mut fill =
        async |ttl: u32| running.call::<_, (Result<(), String>,)>("fill-by-stream", ("k", ttl)).await.unwrap().0;
    assert_eq!(fill(0).await, Err("a time to live of 0 ms was asked for; it must be at least 1 ms".to_owned()));
    assert_eq!(fill(60_000).await, Ok(()));
    assert!(store.open_bucket("cache").await.unwrap().exists("k").await.unwrap());
}

#[tokio::test]
async fn a_vacancy_is_filled_once() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile-values", &store);
    let mut running = program.start().await;
    let (filled,): (Result<(), String>,) = running.call("fill-twice", ("k",)).await.unwrap();
    assert_eq!(filled, Err("this value has filled its vacancy already; nothing can be added to it".to_owned()));
    let cached = store.open_bucket("cache").await.unwrap().get("k").await.unwrap();
    assert_eq!(cached.as_deref(), Some(&b"first"[..]));
}

/// As `kv:guests/calls` has it.
#[derive(ComponentType, Lift, Debug, PartialEq)]
#[component(variant)]
enum Failure {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
    #[component(name = "unsupported")]
    Unsupported,
}

#[tokio::test]
async fn a_missing_key_is_told_before_a_number_that_no_counter_holds() {
    let store = kv_memory::open_named("").unwrap();
    store.open_bucket("b").await.unwrap().set("k", "1").await.unwrap();
    let program = on("exerciser-2023", &store);
    let mut running = program.start().await;
    let mut swap = async |key: &str, old: u64, new: u64| {
        let args = ("b", key, old, new);
        running.call::<_, (Result<bool, Failure>,)>("kv:guests/calls#compare-and-swap", args).await.unwrap().0
    };
    for (old, new) in [(1, 2), (u64::MAX, 2), (1, u64::MAX)] {
        assert_eq!(swap("missing", old, new).await, Err(Failure::Other("Key not found".to_owned())));
    }
    assert!(matches!(swap("k", 1, u64::MAX).await, Err(Failure::Other(text)) if text.contains("than a counter holds")));
}

/// The store's own limit, which may be lower than the contract's.
#[tokio::test]
async fn a_list_of_all_keys_is_a_reply_too() {
    let limits = kv_core::Limits { reply_bytes: 1_000, ..kv_core::Limits::default() };
    let store = kv_memory::open_named("").unwrap().with_limits(limits).unwrap();
    let bucket = store.open_bucket("b").await.unwrap();
    for n in 0..100 {
        bucket.set(&format!("key {n:02}"), "").await.unwrap();
    }
    let program = on("exerciser-0.1.0", &store);
    let mut running = program.start().await;
    let (keys,): (Result<Vec<String>, Failure>,) = running.call("kv:guests/calls#keys", ("b",)).await.unwrap();
    assert_eq!(keys, Err(Failure::Other("query result exceeds limit of 1000 bytes".to_owned())));
}

/// A store has 1,024 for all its guests; one of them must not take them all, however many instances it has.
#[tokio::test]
async fn versioned_handles_are_counted_for_all_instances_of_a_guest() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("exerciser-draft2", &store);
    let other = on("exerciser-spin", &store);
    let (mut first, mut second) = (program.start().await, program.start().await);
    let take = async |running: &mut Running| {
        running.call::<_, (Result<u32, Failure>,)>("kv:guests/calls#cas-new", ("b", "k")).await.unwrap().0
    };
    for _ in 0..127 {
        assert!(take(&mut first).await.is_ok());
    }
    assert!(take(&mut second).await.is_ok());
    let full = "too many versioned handles: this program holds 128, which is the limit";
    for running in [&mut first, &mut second] {
        assert_eq!(take(running).await, Err(Failure::Other(full.to_owned())));
    }
    assert!(take(&mut other.start().await).await.is_ok());
    drop(first);
    assert!(take(&mut second).await.is_ok());
}
