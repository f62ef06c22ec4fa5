use std::time::Duration;

use kv_wasi::{Access, Host, Limits, Rights};

use crate::run::Running;
use crate::{load, on};

async fn open(running: &mut Running, name: &str) -> Result<(), String> {
    running.call::<_, (Result<(), String>,)>("open-bucket", (name,)).await.unwrap().0
}

#[tokio::test]
async fn what_the_policy_does_not_give_is_refused() {
    let store = kv_memory::open_named("").unwrap();
    store.open_bucket("real").await.unwrap().set("k", "v").await.unwrap();
    let access = Access::none()
        .bucket("mine", &store, Some("real".to_owned()), Rights { read: true, ..Rights::default() })
        .bucket("secret", &store, None, Rights::default());
    let program = load("hostile", &Host::new(access));
    let mut running = program.start().await;
    assert_eq!(open(&mut running, "mine").await, Ok(()));
    assert_eq!(open(&mut running, "secret").await, Err("access-denied".into()));
    assert_eq!(open(&mut running, "real").await, Err("no-such-store".into()));
    let (read,): (Result<u32, String>,) = running.call("read-many", ("mine", vec!["k".to_owned()])).await.unwrap();
    assert_eq!(read, Ok(1));
    let (written,): (Result<(), String>,) = running.call("write-big", ("mine", 10_u32)).await.unwrap();
    assert_eq!(written, Err("access-denied".into()));
    let (listed,): (Result<u32, String>,) = running.call("made-up-cursor", ("mine", 7_u64)).await.unwrap();
    assert_eq!(listed, Err("access-denied".into()));
}

#[tokio::test]
async fn made_up_cursors_and_hoarded_handles_are_refused() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile", &store);
    let mut running = program.start().await;
    for cursor in [0, 1, 7, u64::MAX] {
        let (listed,): (Result<u32, String>,) = running.call("made-up-cursor", ("b", cursor)).await.unwrap();
        assert_eq!(listed, Err("invalid cursor".into()));
    }
    let (held, text): (u32, String) = {
        let (pair,): ((u32, String),) = running.call("hoard-buckets", ("b", 200_000_u32)).await.unwrap();
        pair
    };
    assert_eq!(held, 90_000);
    assert_eq!(text, "too many handles: this program holds 90000, which is the limit");
    // All were given back at the end of the call, and other instances had their own.
    assert_eq!(open(&mut running, "b").await, Ok(()));
    assert_eq!(open(&mut program.start().await, "b").await, Ok(()));
}

#[tokio::test]
async fn a_reply_over_its_limit_is_refused() {
    let store = kv_memory::open_named("").unwrap();
    let bucket = store.open_bucket("b").await.unwrap();
    let keys: Vec<String> = (0..256).map(|n| format!("key{n}")).collect();
    let value = bytes::Bytes::from(vec![7; 1 << 20]);
    for key in &keys {
        bucket.set(key, value.clone()).await.unwrap();
    }
    let program = on("hostile", &store);
    let mut running = program.start().await;
    let (read,): (Result<u32, String>,) = running.call("read-many", ("b", keys[..100].to_vec())).await.unwrap();
    assert_eq!(read, Ok(100));
    let (read,): (Result<u32, String>,) = running.call("read-many", ("b", keys.clone())).await.unwrap();
    assert_eq!(read, Err("query result exceeds limit of 134217728 bytes".into()));
    assert_eq!(open(&mut running, "b").await, Ok(()));
}

#[tokio::test]
async fn a_value_over_its_limit_is_refused_and_a_call_over_its_own_ends_the_guest() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile", &store);
    let mut running = program.start().await;
    let (written,): (Result<(), String>,) = running.call("write-big", ("b", 65_u32 << 20)).await.unwrap();
    assert!(written.unwrap_err().contains("67108864"));
    let error = running.call::<_, (Result<(), String>,)>("write-big", ("b", 130_u32 << 20)).await.unwrap_err();
    assert!(!format!("{error:?}").is_empty());
    assert_eq!(store.buckets().await.unwrap(), Vec::<String>::new());
    assert_eq!(open(&mut program.start().await, "b").await, Ok(()));
}

/// On one thread: the guest that never waits must let the others run.
#[tokio::test(flavor = "current_thread")]
async fn a_guest_that_never_ends_disturbs_nobody_and_can_be_ended() {
    let store = kv_memory::open_named("").unwrap();
    let program = on("hostile", &store);
    let mut endless = program.start().await;
    let mut other = program.start().await;
    let spinning = tokio::time::timeout(Duration::from_millis(200), endless.call::<_, ()>("spin", ()));
    let working = async {
        for _ in 0..100 {
            assert_eq!(open(&mut other, "b").await, Ok(()));
            tokio::task::yield_now().await;
        }
    };
    let (spun, ()) = tokio::join!(spinning, working);
    assert!(spun.is_err(), "it ran until its time was up");
}

#[tokio::test]
async fn memory_and_stack_have_ends() {
    let store = kv_memory::open_named("").unwrap();
    let limits = Limits { memory_bytes: 32 << 20, ..Limits::default() };
    let program = load("hostile", &Host::new(Access::all_of(&store)).limits(limits));
    let (got,): (u32,) = program.start().await.call("allocate", (100_u32,)).await.unwrap();
    assert!((20..32).contains(&got), "{got} MiB");
    let error = program.start().await.call::<_, ()>("recurse", ()).await.unwrap_err();
    assert!(format!("{error:?}").contains("stack"), "{error:?}");
    assert_eq!(open(&mut program.start().await, "b").await, Ok(()));
}

/// Each may have 1 GiB; what all have together is less than that for each of 64.
#[tokio::test]
async fn memory_has_an_end_for_all_instances_of_a_guest() {
    let limits = Limits { total_memory_bytes: 32 << 20, ..Limits::default() };
    let program = load("hostile", &Host::new(Access::none()).limits(limits));
    let allocate =
        async |running: &mut Running, mib: u32| running.call::<_, (u32,)>("allocate", (mib,)).await.unwrap().0;
    let (mut first, mut second) = (program.start().await, program.start().await);
    assert_eq!(allocate(&mut first, 20).await, 20);
    assert!((4..10).contains(&allocate(&mut second, 20).await));
    assert!(second.store.data().kv.is_short_of_memory() && !first.store.data().kv.is_short_of_memory());
    drop(first);
    assert_eq!(allocate(&mut program.start().await, 15).await, 15);
    drop(second);
    assert!((24..32).contains(&allocate(&mut program.start().await, 40).await));
}
