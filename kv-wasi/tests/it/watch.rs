use kv_core::{Event, Store};
use kv_wasi::{Access, Delivered, Host, Rights};

use crate::{load, on};

fn set(key: &str) -> Event {
    Event::Set { key: key.to_owned(), value: bytes::Bytes::from_static(b"four").into() }
}

/// What the guest noted, in the order of its calls.
async fn noted(store: &Store) -> Vec<String> {
    let seen = store.open_bucket("seen").await.unwrap();
    let mut keys = seen.keys("", None, None).await.unwrap().keys;
    keys.sort();
    let mut lines = Vec::new();
    for key in &keys {
        lines.push(String::from_utf8(seen.get(key).await.unwrap().unwrap().to_vec()).unwrap());
    }
    lines
}

#[tokio::test]
async fn guests_hear_of_changes_and_an_expired_entry_is_deleted() {
    for name in ["watcher-draft2", "watcher-0.1.0"] {
        let store = kv_memory::open_named("").unwrap();
        let watched = Access::all_of(&store).watched("watched").await.unwrap();
        let program = on(name, &store);
        assert!(program.guest.watcher_interface().is_some());
        let mut running = program.start().await;
        let watcher = program.guest.watcher(&mut running.store, &running.instance).unwrap();
        let events = [
            set("a"),
            Event::Deleted { key: "a".to_owned() },
            Event::Dropped,
            Event::Lagged(7),
            Event::Expired { key: "b".to_owned() },
        ];
        let mut called = 0;
        for event in events {
            let delivered = watcher.deliver(&mut running.store, &watched, event).await.unwrap();
            called += usize::from(delivered == Delivered::Called);
        }
        let lines = noted(&store).await;
        assert_eq!((called, lines), (3, vec!["set a 4".into(), "delete a".into(), "delete b".to_owned()]), "{name}");
        assert!(watcher.deliver(&mut running.store, &watched, set("trap")).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn the_handle_that_a_guest_is_handed_has_its_own_rights() {
    let reading = Rights { read: true, ..Rights::default() };
    for (name, rights, outcome) in [
        ("watcher-draft2", reading, "own: Err(Error::AccessDenied)"),
        ("watcher-draft2", Rights::ALL, "own: Ok(())"),
        ("watcher-0.1.0", reading, r#"own: Err("access to this bucket is denied")"#),
        ("watcher-0.1.0", Rights::ALL, "own: Ok(())"),
    ] {
        let store = kv_memory::open_named("").unwrap();
        let access = Access::none().bucket("watched", &store, None, rights).bucket("seen", &store, None, Rights::ALL);
        let watched = access.watched("watched").await.unwrap();
        let program = load(name, &Host::new(access));
        let mut running = program.start().await;
        let watcher = program.guest.watcher(&mut running.store, &running.instance).unwrap();
        watcher.deliver(&mut running.store, &watched, set("mine")).await.unwrap();
        assert_eq!(noted(&store).await, ["set mine 4", outcome], "{name}");
        let own = store.open_bucket("watched").await.unwrap().get("own").await.unwrap();
        assert_eq!(own.is_some(), rights == Rights::ALL, "{name}");
    }
}
