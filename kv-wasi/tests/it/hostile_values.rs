//! What a guest could make the host keep by values, cached results and versioned handles.

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
