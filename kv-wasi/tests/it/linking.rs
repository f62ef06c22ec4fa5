//! What of a guest's imports is taken from where, and what it is told of the rest.

use kv_core::Event;
use kv_wasi::{Access, Delivered, ErrorKind, Guest, Host, Shape};
use wasmtime::component::{Instance, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::WasiCtx;

use crate::bad::{State, linker, load, refusal, text};

/// The streams of November 2023 with another `write`, and an interface of this host that gives one of them.
const OTHER_WRITE: &str = r#"
    (import "wasi:io/streams@0.2.0-rc-2023-11-10" (instance $io
        (export "output-stream" (type $out (sub resource)))
        (export "input-stream" (type $in (sub resource)))
        (export "[method]output-stream.write"
            (func (param "self" (borrow $out)) (param "contents" (list u8)) (result u64)))))
    (alias export $io "output-stream" (type $out))"#;

/// The value type of a shape that shares those streams.
const TYPES_OF_2023: &str = r#"
    (import "wasi:keyvalue/wasi-cloud-error" (instance $e (export "error" (type (sub resource)))))
    (alias export $e "error" (type $error))
    (import "wasi:keyvalue/types" (instance
        (alias outer 1 $error (type $e0)) (export "error" (type $error (eq $e0)))
        (alias outer 1 $out (type $o0)) (export "output-stream" (type $out (eq $o0)))
        (export "outgoing-value" (type $value (sub resource)))
        (export "[method]outgoing-value.outgoing-value-write-body-async"
            (func (param "self" (borrow $value)) (result (result (own $out) (error (own $error))))))))"#;

const STDOUT: &str = r#"
    (import "wasi:cli/stdout@0.2.0" (instance
        (alias outer 1 $out (type $o0)) (export "output-stream" (type $out (eq $o0)))
        (export "get-stdout" (func (result (own $out))))))"#;

fn component(parts: &[&str]) -> Vec<u8> {
    text(&format!("(component {})", parts.concat()))
}

/// What it is told, without the first line; with traps in the place of that it links.
fn missing(bytes: &[u8]) -> Vec<String> {
    let (guest, engine) = load(bytes).unwrap();
    let error = guest.link(&linker(&engine)).err().expect("something is missing");
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    guest.link_or_trap(&linker(&engine)).unwrap().instantiate_pre(guest.component()).unwrap();
    let told = error.to_string();
    assert_eq!(told.lines().next(), Some("it imports what this host does not provide:"));
    told.lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

async fn start(guest: &Guest, engine: &Engine) -> (Store<State>, Instance) {
    let state = State(guest.context(), ResourceTable::new(), WasiCtx::builder().build());
    let mut store = Store::new(engine, state);
    let linker = guest.link_or_trap(&linker(engine)).unwrap();
    let instance = linker.instantiate_async(&mut store, guest.component()).await.unwrap();
    (store, instance)
}

/// Lifts the functions `names` of the instance `$from`, each without parameters and with a `u64`.
fn lifted(names: &[&str]) -> String {
    let lifted = names.iter().map(|name| {
        format!(
            r#"(alias export $from "{name}" (func $f-{name})) (core func $c-{name} (canon lower (func $f-{name})))
            (core module $m-{name} (import "" "f" (func $f (result i64))) (func (export "go") (result i64) call $f))
            (core instance $i-{name} (instantiate $m-{name} (with "" (instance (export "f" (func $c-{name}))))))
            (func (export "{name}") (result u64) (canon lift (core func $i-{name} "go")))"#
        )
    });
    lifted.collect()
}

#[test]
fn a_misfit_leaves_the_resources_beside_it_alone() {
    for others in [&[STDOUT][..], &[TYPES_OF_2023], &[STDOUT, TYPES_OF_2023]] {
        let told = missing(&component(&[&[OTHER_WRITE], others].concat()));
        assert_eq!(told.len(), 1, "{told:?}");
        let misfit = "wasi:io/streams@0.2.0-rc-2023-11-10: [method]output-stream.write does not fit (";
        assert!(told[0].starts_with(misfit), "{told:?}");
    }
}

#[tokio::test]
async fn what_is_missing_may_share_a_resource_of_the_hosts() {
    for (host, resource) in [("poll", "pollable"), ("streams", "output-stream")] {
        let bytes = component(&[&format!(
            r#"(import "wasi:io/{host}@0.2.0" (instance $host (export "{resource}" (type (sub resource)))))
            (alias export $host "{resource}" (type $shared))
            (import "golem:rpc/types@0.1.0" (instance $rpc
                (alias outer 1 $shared (type $s0)) (export "{resource}" (type $s (eq $s0)))
                (export "call" (type $call (sub resource)))
                (export "[method]call.wait-for" (func (param "self" (borrow $call)) (result (own $s))))))
            (alias export $rpc "call" (type $call))
            (import "golem:rpc/more@0.1.0" (instance
                (alias outer 1 $shared (type $s0)) (export "{resource}" (type $s (eq $s0)))
                (alias outer 1 $call (type $c0)) (export "call" (type $c (eq $c0)))
                (export "wait-for" (func (param "calls" (list (borrow $c))) (result (own $s))))))"#
        )]);
        assert_eq!(
            missing(&bytes),
            ["golem:rpc/types@0.1.0 ([method]call.wait-for)", "golem:rpc/more@0.1.0 (wait-for)"],
            "{resource}"
        );
        let (guest, engine) = load(&bytes).unwrap();
        start(&guest, &engine).await;
    }
}

#[test]
fn a_resource_that_nobody_provides_makes_no_misfits_of_those_who_share_it() {
    let own = r#"
        (import "mine:own/streams@1.0.0" (instance $io
            (export "output-stream" (type $out (sub resource))) (export "open" (func (result (own $out))))))
        (alias export $io "output-stream" (type $out))"#;
    assert_eq!(missing(&component(&[own, STDOUT])), ["mine:own/streams@1.0.0 (open)"]);
    let (guest, engine) = load(&component(&[own, TYPES_OF_2023])).unwrap();
    let told = guest.missing(&Linker::<State>::new(&engine)).unwrap();
    assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>(), ["mine:own/streams@1.0.0 (open)"]);
}

#[test]
fn a_resource_that_an_interface_of_this_host_lacks_is_told() {
    let told = missing(&component(&[r#"(import "wasi:io/streams@0.2.0" (instance
        (export "output-stream" (type $out (sub resource))) (export "pipe" (type $pipe (sub resource)))
        (export "[method]pipe.close" (func (param "self" (borrow $pipe))))
        (export "[method]output-stream.check-write"
            (func (param "self" (borrow $out)) (result u64)))))"#]));
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "wasi:io/streams@0.2.0 (pipe, [method]pipe.close)");
    assert!(told[1].starts_with("wasi:io/streams@0.2.0: [method]output-stream.check-write does not fit"), "{told:?}");
}

#[test]
fn two_resources_taken_for_one_are_told() {
    let io = r#"
        (import "wasi:io/streams@0.2.0" (instance $io (export "input-stream" (type (sub resource)))))
        (alias export $io "input-stream" (type $out))
        (import "mine:own/thing" (instance (export "f" (func))))"#;
    assert_eq!(
        missing(&component(&[io, STDOUT])),
        ["mine:own/thing (f)", "wasi:cli/stdout@0.2.0: get-stdout does not fit (resource type mismatch)"]
    );
}

#[test]
fn what_cannot_be_put_in_an_imports_place_hides_nothing() {
    let bytes = text(r#"(component (import "mine:own/a" (instance (export "f" (func)))) (import "m" (core module)))"#);
    let (guest, engine) = load(&bytes).unwrap();
    let error = guest.link(&linker(&engine)).err().unwrap();
    assert_eq!(error.to_string(), "it imports what this host does not provide:\n  mine:own/a (f)\n  m");
    assert!(guest.link_or_trap(&linker(&engine)).is_err());
    assert_eq!(guest.missing(&linker(&engine)).unwrap().len(), 2);
}

#[tokio::test]
async fn a_function_that_is_missing_leaves_those_beside_it_alone() {
    for version in ["0.2.0", "0.2.3", "0.2.12", "0.2.0-rc-2023-11-10", "0.2.0-rc-2023-12-05", "0.2.0-rc-2024-01-16"] {
        let import = format!(
            r#"(import "wasi:random/random@{version}" (instance $from
                (export "get-random-u64" (func (result u64))) (export "not-there" (func (result u64)))))"#
        );
        let bytes = component(&[&import, &lifted(&["get-random-u64", "not-there"])]);
        let told = missing(&bytes);
        let name = format!("wasi:random/random@{version}");
        assert_eq!(told, [format!("{name} (not-there)")]);
        let (guest, engine) = load(&bytes).unwrap();
        let (mut store, instance) = start(&guest, &engine).await;
        let there = instance.get_typed_func::<(), (u64,)>(&mut store, "get-random-u64").unwrap();
        there.call_async(&mut store, ()).await.unwrap();
        let absent = instance.get_typed_func::<(), (u64,)>(&mut store, "not-there").unwrap();
        let trap = format!("{:#}", absent.call_async(&mut store, ()).await.unwrap_err());
        assert!(trap.contains(&format!("{name}#not-there is called, which this host does not provide")), "{trap}");
        assert!(guest.imports().iter().all(|function| function.interface == name), "{:?}", guest.imports());
    }
}

#[tokio::test]
async fn versions_of_wasi_in_one_program_all_run() {
    let import = |name: &str, version: &str| {
        format!(
            r#"(import "wasi:random/random@{version}" (instance {name} (export "get-random-u64" (func (result u64)))))"#
        )
    };
    let old = import("$old", "0.2.0-rc-2023-11-10");
    let winter = import("$winter", "0.2.0-rc-2023-12-05");
    let new = import("$new", "0.2.0");
    for (imports, from) in
        [([&old, &winter, &new], "$old"), ([&new, &old, &winter], "$winter"), ([&winter, &old, &new], "$new")]
    {
        let imports = imports.map(String::as_str).concat();
        let bytes = component(&[&imports, &lifted(&["get-random-u64"]).replace("$from", from)]);
        let (guest, engine) = load(&bytes).unwrap();
        guest.link(&linker(&engine)).unwrap();
        let (mut store, instance) = start(&guest, &engine).await;
        let call = instance.get_typed_func::<(), (u64,)>(&mut store, "get-random-u64").unwrap();
        call.call_async(&mut store, ()).await.unwrap();
    }
}

#[test]
fn only_wasi_of_2023_is_brought_to_another_version() {
    let told =
        missing(&text(r#"(component (import "mine:own/thing@0.2.0-rc-2023-11-10" (instance (export "f" (func)))))"#));
    assert_eq!(told, ["mine:own/thing@0.2.0-rc-2023-11-10 (f)"]);
}

/// Proposals that are not part of WASI 0.2 have such versions to this day, and a host links them by these names.
#[test]
fn a_release_candidate_of_another_proposal_keeps_its_name() {
    let name = "wasi:nn/graph@0.2.0-rc-2024-10-28";
    let bytes = text(&format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#));
    assert_eq!(missing(&bytes), [format!("{name} (f)")]);
    let (guest, engine) = load(&bytes).unwrap();
    let mut linker = linker(&engine);
    linker.instance(name).unwrap().func_wrap("f", |_, (): ()| Ok(())).unwrap();
    guest.link(&linker).unwrap();
}

/// The interface `types` of `0.1.0` with these types and functions in it.
fn types_of_0_1_0(inside: &str) -> Vec<u8> {
    component(&[&format!(
        r#"(import "wasi:keyvalue/wasi-keyvalue-error@0.1.0" (instance $e (export "error" (type (sub resource)))))
        (alias export $e "error" (type $error))
        (import "wasi:keyvalue/types@0.1.0" (instance
            (alias outer 1 $error (type $e0)) (export "error" (type $error (eq $e0))) {inside}))"#
    )])
}

#[test]
fn parameters_may_have_other_names() {
    let bytes = types_of_0_1_0(
        r#"(export "bucket" (type $b (sub resource)))
        (export "[static]bucket.open-bucket"
            (func (param "bucket-name" string) (result (result (own $b) (error (own $error))))))"#,
    );
    let (guest, engine) = load(&bytes).unwrap();
    assert_eq!(guest.shapes(), [Shape::V0_1_0]);
    guest.link(&linker(&engine)).unwrap();
}

#[test]
fn what_does_not_fit_is_told_of_the_shape_that_the_version_names() {
    let (_, told) = refusal(&types_of_0_1_0(
        r#"(export "bucket" (type $b (sub resource))) (export "[static]bucket.open-bucket" (func (result (own $b))))"#,
    ));
    assert!(told.contains("[static]bucket.open-bucket is () -> bucket, which 0.1.0 does not have"), "{told}");
}

/// An asynchronous function, which wasmtime compiles only on an engine that is set up for it.
const ASYNC: &str = r#"
    (core module $m
        (func (export "f") (result i32) i32.const 0) (func (export "cb") (param i32 i32 i32) (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $handle async (canon lift (core func $i "f") async (callback (core func $i "cb"))))
    (instance $x (export "handle" (func $handle)))"#;

#[test]
fn wasi_0_3_is_refused_by_name() {
    let engine = Engine::new(Config::new().concurrency_support(false)).unwrap();
    let refused = |parts: &[&str]| {
        let error = Host::new(Access::none()).load(&engine, &component(parts)).err().expect("it was loaded");
        (error.kind(), error.to_string())
    };
    let exports = format!(r#"{ASYNC} (export "wasi:http/handler@0.3.0" (instance $x))"#);
    let imports = r#"(import "wasi:cli/stdout@0.3.0-rc-2025-09-16" (instance
        (type $s (stream u8)) (export "write-via-stream" (func async (param "data" $s)))))"#;
    for (text, name) in
        [(exports.as_str(), "wasi:http/handler@0.3.0"), (imports, "wasi:cli/stdout@0.3.0-rc-2025-09-16")]
    {
        let told = format!("it is built for WASI 0.3 ({name}), and this host runs 0.2");
        assert_eq!(refused(&[text]), (ErrorKind::UnknownShape, told));
    }
    let own = [ASYNC, r#"(export "mine:own/handler" (instance $x))"#];
    assert_eq!(refused(&own).0, ErrorKind::NeedsAsync);
    assert_eq!(load(&component(&own)).unwrap().0.shapes(), []);
}

#[test]
fn what_is_exported_in_two_versions_of_wasi_is_found_under_both() {
    let (guest, _) = load(&component(&[r#"
        (core module $m (func (export "run") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $x (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0-rc-2023-11-10" (instance $x))
        (export "wasi:cli/run@0.2.0" (instance $x))"#]))
    .unwrap();
    let exports: Vec<&str> = guest.exports().iter().map(|function| function.interface.as_str()).collect();
    assert_eq!(exports, ["wasi:cli/run@0.2.1", "wasi:cli/run@0.2.0"]);
    let in_file = exports.iter().map(|name| guest.name_in_file(name)).collect::<Vec<_>>();
    assert_eq!(in_file, ["wasi:cli/run@0.2.0-rc-2023-11-10", "wasi:cli/run@0.2.0"]);
    for name in exports {
        assert!(guest.component().get_export_index(None, name).is_some(), "{name}");
    }
}

/// What a guest exports keeps its name, so that it is found under the one that it is listed with.
#[tokio::test]
async fn a_watcher_of_a_version_that_nobody_knows_is_called() {
    let mut bytes = std::fs::read(crate::run::path("watcher-draft2")).unwrap();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"@0.2.0-draft2") {
            bytes[at + 12] = b'9';
        }
    }
    let kv = kv_memory::open_named("").unwrap();
    let access = Access::all_of(&kv);
    let watched = access.watched("b").await.unwrap();
    let engine = Engine::default();
    let guest = Host::new(access).load(&engine, &bytes).unwrap();
    assert_eq!(guest.watcher_interface(), Some("wasi:keyvalue/watcher@0.2.0-draft9"));
    let (mut store, instance) = start(&guest, &engine).await;
    let watcher = guest.watcher(&mut store, &instance).unwrap();
    let event = Event::Deleted { key: "k".into() };
    assert_eq!(watcher.deliver(&mut store, &watched, event).await.unwrap(), Delivered::Called);
}
