use kv_core::{Event, Store};
use kv_wasi::{Access, Delivered, ErrorKind, Host, Limits, Rights};
use wasmtime::Engine;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;

use crate::bad::{State, linker, text};
use crate::run::Program;
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

/// Bucket and value of `0.1.0`, or of the shape without a version.
fn types(version: &str) -> String {
    format!(
        r#"(import "wasi:keyvalue/types{version}" (instance $types
            (export "bucket" (type (sub resource))) (export "incoming-value" (type (sub resource)))))
        (alias export $types "bucket" (type $bucket)) (alias export $types "incoming-value" (type $value))
        (core func $drop (canon resource.drop $value))"#
    )
}

/// A bucket without a value.
const STORE: &str = r#"
    (import "wasi:keyvalue/store@0.2.0-draft" (instance $store (export "bucket" (type (sub resource)))))
    (alias export $store "bucket" (type $bucket)) (core module $none (func (export "drop") (param i32)))
    (core instance $none (instantiate $none)) (alias core export $none "drop" (core func $drop))"#;

/// What a function is given, and what the module behind it does with that.
type Heard = (&'static str, &'static str);

const BYTES: Heard =
    (r#"(param "bucket" (own $bucket)) (param "key" string) (param "value" (list u8))"#, "(param i32 i32 i32 i32 i32)");
/// A value that is lent has to be given back.
const VALUE: Heard = (
    r#"(param "bucket" (own $bucket)) (param "key" string) (param "value" (borrow $value))"#,
    "(param i32 i32 i32 i32) (call $drop (local.get 3))",
);
const GONE: Heard = (r#"(param "bucket" (own $bucket)) (param "key" string)"#, "(param i32 i32 i32)");

fn hearing(imports: &str, interface: &str, (set, does): Heard, (delete, then): Heard) -> Vec<u8> {
    let canon = r#"(memory (core memory $i "memory")) (realloc (core func $i "realloc"))"#;
    text(&format!(
        r#"(component {imports}
        (core module $m
            (import "" "drop" (func $drop (param i32)))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "set") {does}) (func (export "delete") {then}))
        (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
        (func $set {set} (canon lift (core func $i "set") {canon}))
        (func $delete {delete} (canon lift (core func $i "delete") {canon}))
        (instance $hearing (export "on-set" (func $set)) (export "on-delete" (func $delete)))
        (export "wasi:keyvalue/{interface}" (instance $hearing)))"#
    ))
}

/// Hears of one entry that is set and one that is gone.
async fn hear(component: &[u8]) -> Result<(), kv_wasi::Error> {
    let kv = kv_memory::open_named("").unwrap();
    let access = Access::all_of(&kv);
    let watched = access.watched("b").await.unwrap();
    let engine = Engine::default();
    let guest = Host::new(access).load(&engine, component)?;
    let state = State(guest.context(), ResourceTable::new(), WasiCtx::builder().build());
    let mut store = wasmtime::Store::new(&engine, state);
    let instance = guest.link(&linker(&engine))?.instantiate_async(&mut store, guest.component()).await.unwrap();
    let watcher = guest.watcher(&mut store, &instance);
    assert_eq!(watcher.as_ref().err().map(ToString::to_string), guest.check_watcher().err().map(|e| e.to_string()));
    let watcher = watcher?;
    for event in [set("k"), Event::Deleted { key: "k".to_owned() }] {
        assert_eq!(watcher.deliver(&mut store, &watched, event).await.unwrap(), Delivered::Called);
    }
    Ok(())
}

/// And not by what it imports.
#[tokio::test]
async fn what_a_guest_is_handed_goes_by_what_it_exports() {
    let both = types("@0.1.0") + &STORE.replace("$bucket", "$other").replace("(core func $drop)", "(core func)");
    for (imports, interface, heard) in [
        (types("@0.1.0").as_str(), "handle-watch@0.1.0", VALUE),
        (&types(""), "handle-watch", VALUE),
        (&types("@0.1.0"), "watcher@0.2.0-draft2", BYTES),
        (STORE, "watcher@0.2.0-draft", BYTES),
        (&both, "handle-watch@0.1.0", VALUE),
        (&both, "watcher@0.2.0-draft", BYTES),
        (&both.replace("$bucket", "$old").replace("$other", "$bucket"), "watcher@0.2.0-draft", BYTES),
    ] {
        hear(&hearing(imports, interface, heard, GONE)).await.unwrap_or_else(|error| panic!("{interface}: {error}"));
    }
}

#[tokio::test]
async fn functions_that_the_host_does_not_call_so_are_told_without_an_instance() {
    let own = r#"(type $r (resource (rep i32))) (export $bucket "bucket" (type $r))
        (core func $drop (canon resource.drop $bucket))"#;
    let given = (
        r#"(param "bucket" (own $bucket)) (param "key" string) (param "value" (own $value))"#,
        "(param i32 i32 i32 i32)",
    );
    let lent = (r#"(param "bucket" (borrow $bucket)) (param "key" string)"#, "(param i32 i32 i32)");
    let answered = (
        r#"(param "bucket" (own $bucket)) (param "key" string) (result u32)"#,
        "(param i32 i32 i32) (result i32) (i32.const 0)",
    );
    let types = types("@0.1.0");
    for (imports, interface, heard, gone, told) in [
        (types.as_str(), "handle-watch@0.1.0", BYTES, GONE, "on-set is (bucket: bucket, key: string, value: list<u8>)"),
        (&types, "handle-watch@0.1.0", given, GONE, "on-set is (bucket: bucket, key: string, value: incoming-value)"),
        (
            &types,
            "watcher@0.2.0-draft2",
            VALUE,
            GONE,
            "on-set is (bucket: bucket, key: string, value: borrow<incoming-value>)",
        ),
        (STORE, "watcher@0.2.0-draft2", BYTES, lent, "on-delete is (bucket: borrow<bucket>, key: string)"),
        (STORE, "watcher@0.2.0-draft2", BYTES, answered, "on-delete is (bucket: bucket, key: string) -> u32"),
        (own, "watcher@0.2.0-draft2", BYTES, GONE, "on-set is (bucket: bucket, key: string, value: list<u8>)"),
    ] {
        let error = hear(&hearing(imports, interface, heard, gone)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchExport);
        assert_eq!(error.to_string(), format!("its wasi:keyvalue/{interface} is not as this host calls it: {told}"));
    }
}

/// A watcher that never drops a bucket which it is handed.
fn keeper(version: &str) -> String {
    let (types, watcher, value_type, value, core_value, dropped, end) = match version {
        "0.1.0" => (
            r#""wasi:keyvalue/types@0.1.0" (instance $types
              (export "bucket" (type (sub resource))) (export "incoming-value" (type (sub resource))))"#,
            "handle-watch@0.1.0",
            r#"(alias export $types "incoming-value" (type $value))"#,
            "(borrow $value)",
            "i32",
            "$value",
            "(call $drop (local.get 3))",
        ),
        _ => (
            r#""wasi:keyvalue/store@0.2.0-draft2" (instance $types (export "bucket" (type (sub resource))))"#,
            "watcher@0.2.0-draft2",
            "",
            "(list u8)",
            "i32 i32",
            "$bucket",
            "",
        ),
    };
    let options = r#"(memory (core memory $i "memory")) (realloc (core func $i "realloc"))"#;
    format!(
        r#"(component
          (import {types})
          (alias export $types "bucket" (type $bucket)) {value_type}
          (core func $drop (canon resource.drop {dropped}))
          (core module $m
            (import "host" "drop" (func $drop (param i32)))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "set") (param i32 i32 i32 {core_value}) {end})
            (func (export "delete") (param i32 i32 i32)))
          (core instance $host (export "drop" (func $drop)))
          (core instance $i (instantiate $m (with "host" (instance $host))))
          (func $set (param "bucket" (own $bucket)) (param "key" string) (param "value" {value})
            (canon lift (core func $i "set") {options}))
          (func $delete (param "bucket" (own $bucket)) (param "key" string)
            (canon lift (core func $i "delete") {options}))
          (instance $watcher (export "on-set" (func $set)) (export "on-delete" (func $delete)))
          (export "wasi:keyvalue/{watcher}" (instance $watcher)))"#
    )
}

/// Its handles stay until its collector comes, or for ever. It is not its trap that it can't be handed more.
#[tokio::test]
async fn a_guest_without_room_is_not_called() {
    let store = kv_memory::open_named("").unwrap();
    let limits = Limits { handles: 3, held_bytes: 4, ..Limits::default() };
    let host = Host::new(Access::all_of(&store)).limits(limits);
    let watched = Access::all_of(&store).watched("watched").await.unwrap();
    for version in ["0.2.0-draft2", "0.1.0"] {
        let program = Program::of(&wat::parse_str(keeper(version)).unwrap(), &host);
        let mut running = program.start().await;
        let watcher = program.guest.watcher(&mut running.store, &running.instance).unwrap();
        let delete = Event::Deleted { key: "a".to_owned() };
        let large = Event::Set { key: "a".to_owned(), value: bytes::Bytes::from_static(b"large").into() };
        let mut told = Vec::new();
        for event in [&large, &set("a"), &delete, &delete, &set("a"), &Event::Resync] {
            told.push(watcher.deliver(&mut running.store, &watched, event.clone()).await.unwrap());
        }
        let (called, no_room, nothing) = (Delivered::Called, Delivered::NoRoom, Delivered::Nothing);
        let expected = match version {
            // The value is a handle too, and its bytes are counted.
            "0.1.0" => [no_room, called, called, called, no_room, nothing],
            _ => [called, called, called, no_room, no_room, nothing],
        };
        assert_eq!(told, expected, "{version}");
        let mut other = program.start().await;
        let watcher = program.guest.watcher(&mut other.store, &other.instance).unwrap();
        assert_eq!(watcher.deliver(&mut other.store, &watched, delete).await.unwrap(), called);
    }
}
