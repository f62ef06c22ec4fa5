use kv_core::Event;
use kv_wasi::{Access, Delivered};

use crate::on;

#[tokio::test]
async fn guests_hear_of_changes_and_an_expired_entry_is_deleted() {
    for name in ["watcher-draft2", "watcher-0.1.0"] {
        let store = kv_memory::open_named("").unwrap();
        let watched = Access::all_of(&store).watched("watched").await.unwrap();
        let seen = store.open_bucket("seen").await.unwrap();
        let program = on(name, &store);
        assert!(program.guest.watcher_interface().is_some());
        let mut running = program.start().await;
        let watcher = program.guest.watcher(&mut running.store, &running.instance).unwrap();
        let set = |key: &str| Event::Set { key: key.to_owned(), value: bytes::Bytes::from_static(b"four").into() };
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
        let mut keys = seen.keys("", None, None).await.unwrap().keys;
        keys.sort();
        let mut lines = Vec::new();
        for key in &keys {
            lines.push(String::from_utf8(seen.get(key).await.unwrap().unwrap().to_vec()).unwrap());
        }
        assert_eq!((called, lines), (3, vec!["set a 4".into(), "delete a".into(), "delete b".to_owned()]), "{name}");
        assert!(watcher.deliver(&mut running.store, &watched, set("trap")).await.is_err(), "{name}");
    }
}
