//! Programs that import several versions of wasi:keyvalue, as one that is composed of parts does.

use kv_wasi::{Access, ErrorKind, Guest, Host, Shape};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtx;

use crate::bad::{State, linker, load, refusal, text};

/// A function of the batch interface; the shapes differ in what it gives for a key.
fn batch(version: &str, each: &str) -> String {
    format!(
        r#"(import "wasi:keyvalue/store@{version}" (instance $store-{version}
            (type $cases (variant (case "no-such-store") (case "access-denied") (case "other" string)))
            (export "error" (type $error (eq $cases)))
            (export "bucket" (type $bucket (sub resource)))))
        (alias export $store-{version} "error" (type $error-{version}))
        (alias export $store-{version} "bucket" (type $bucket-{version}))
        (import "wasi:keyvalue/batch@{version}" (instance
            (alias outer 1 $error-{version} (type $e0)) (export "error" (type $error (eq $e0)))
            (alias outer 1 $bucket-{version} (type $b0)) (export "bucket" (type $bucket (eq $b0)))
            (export "get-many" (func (param "bucket" (borrow $bucket)) (param "keys" (list string))
                (result (result (list {each}) (error $error)))))))"#
    )
}

const PROPOSAL: &str = "(option (tuple string (list u8)))";
const SPIN: &str = "(tuple string (option (list u8)))";

fn two(one: (&str, &str), other: (&str, &str)) -> Vec<u8> {
    text(&format!("(component {} {})", batch(one.0, one.1), batch(other.0, other.1)))
}

/// Sets the key `k` of the bucket `k` by a shape with `store`, and looks for it by one whose values are resources.
fn both(store: &str, errors: &str, eventual: &str, version: &str) -> Vec<u8> {
    let canon = r#"(memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))"#;
    text(&format!(
        r#"(component
        (import "wasi:keyvalue/store@{store}" (instance $store
            (type $cases (variant (case "no-such-store") (case "access-denied") (case "other" string)))
            (export "error" (type $error (eq $cases)))
            (export "bucket" (type $bucket (sub resource)))
            (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))
            (export "[method]bucket.set" (func (param "self" (borrow $bucket)) (param "key" string)
                (param "value" (list u8)) (result (result (error $error)))))))
        (import "wasi:keyvalue/{errors}{version}" (instance $errors (export "error" (type (sub resource)))))
        (alias export $errors "error" (type $error))
        (import "wasi:keyvalue/types{version}" (instance $types
            (alias outer 1 $error (type $e0)) (export "error" (type $error (eq $e0)))
            (export "bucket" (type $bucket (sub resource)))
            (export "[static]bucket.open-bucket"
                (func (param "name" string) (result (result (own $bucket) (error (own $error))))))))
        (alias export $types "bucket" (type $bucket))
        (import "wasi:keyvalue/{eventual}{version}" (instance $eventual
            (alias outer 1 $error (type $e0)) (export "error" (type $error (eq $e0)))
            (alias outer 1 $bucket (type $b0)) (export "bucket" (type $bucket (eq $b0)))
            (export "exists" (func (param "bucket" (borrow $bucket)) (param "key" string)
                (result (result bool (error (own $error))))))))
        (core module $memory
            (memory (export "memory") 1) (data (i32.const 0) "k")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $memory (instantiate $memory))
        (core func $open (canon lower (func $store "open") {canon}))
        (core func $set (canon lower (func $store "[method]bucket.set") {canon}))
        (core func $open-bucket (canon lower (func $types "[static]bucket.open-bucket") {canon}))
        (core func $exists (canon lower (func $eventual "exists") {canon}))
        (core instance $host (export "open" (func $open)) (export "set" (func $set))
            (export "open-bucket" (func $open-bucket)) (export "exists" (func $exists)))
        (core module $m
            (import "memory" "memory" (memory 1))
            (import "host" "open" (func $open (param i32 i32 i32)))
            (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
            (import "host" "open-bucket" (func $open-bucket (param i32 i32 i32)))
            (import "host" "exists" (func $exists (param i32 i32 i32 i32)))
            (func (export "set")
                (call $open (i32.const 0) (i32.const 1) (i32.const 16))
                (call $set (i32.load (i32.const 20)) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)
                    (i32.const 48)))
            (func (export "exists") (result i32)
                (call $open-bucket (i32.const 0) (i32.const 1) (i32.const 16))
                (call $exists (i32.load (i32.const 20)) (i32.const 0) (i32.const 1) (i32.const 48))
                (i32.load8_u (i32.const 52))))
        (core instance $i (instantiate $m (with "memory" (instance $memory)) (with "host" (instance $host))))
        (func (export "set") (canon lift (core func $i "set")))
        (func (export "exists") (result bool) (canon lift (core func $i "exists"))))"#
    ))
}

#[tokio::test]
async fn a_program_of_two_shapes_reads_by_one_what_it_wrote_by_the_other() {
    for (store, shape) in [("0.2.0-draft", Shape::Draft), ("0.2.0-draft2", Shape::Draft2), ("9.9.9", Shape::Draft)] {
        for (errors, eventual, version, older) in [
            ("wasi-keyvalue-error", "eventual", "@0.1.0", Shape::V0_1_0),
            ("wasi-cloud-error", "readwrite", "", Shape::Golem2023),
        ] {
            let kv = kv_memory::open_named("").unwrap();
            let engine = Engine::default();
            let host = Host::new(Access::all_of(&kv));
            let guest = host.load(&engine, &both(store, errors, eventual, version)).unwrap();
            assert_eq!(guest.shapes(), [older, shape]);
            let again = guest.with_host(&host);
            assert_eq!(again.shapes(), guest.shapes());
            let linker = guest.link(&linker(&engine)).unwrap();
            let mut data = Store::new(&engine, state(&guest));
            let instance = linker.instantiate_async(&mut data, guest.component()).await.unwrap();
            let exists = instance.get_typed_func::<(), (bool,)>(&mut data, "exists").unwrap();
            let set = instance.get_typed_func::<(), ()>(&mut data, "set").unwrap();
            assert_eq!(exists.call_async(&mut data, ()).await.unwrap(), (false,));
            set.call_async(&mut data, ()).await.unwrap();
            assert_eq!(exists.call_async(&mut data, ()).await.unwrap(), (true,), "{store} and {older:?}");
        }
    }
}

fn state(guest: &Guest) -> State {
    State(guest.context(), ResourceTable::new(), WasiCtx::builder().build())
}

#[test]
fn versions_share_out_the_shapes_that_their_calls_fit() {
    for (one, other, shapes) in [
        (("0.2.0-draft", PROPOSAL), ("0.2.0-draft2", PROPOSAL), [Shape::Draft, Shape::Draft2]),
        (("0.2.0-draft", PROPOSAL), ("0.2.0-draft2", SPIN), [Shape::Draft, Shape::Spin]),
        // Which has no choice is told first.
        (("0.2.0-draft2", PROPOSAL), ("0.2.0", SPIN), [Shape::Draft, Shape::Spin]),
        (("0.2.0-draft2", PROPOSAL), ("0.2.0", PROPOSAL), [Shape::Draft, Shape::Draft2]),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let (guest, engine) = load(&two(one, other)).unwrap();
            assert_eq!(guest.shapes(), shapes, "{one:?} {other:?}");
            guest.link(&linker(&engine)).unwrap();
        }
    }
}

#[test]
fn two_versions_that_would_have_the_same_names_are_refused() {
    let (kind, told) = refusal(&two(("0.2.0-draft2", SPIN), ("0.2.0", SPIN)));
    assert_eq!(kind, ErrorKind::UnknownShape, "{told}");
    assert_eq!(
        told,
        "it imports wasi:keyvalue in two versions, 0.2.0-draft2 as the shape 0.2.0-draft2 (Spin) and 0.2.0 as the shape \
         0.2.0-draft2 (Spin), and this host can add only one of them: their interfaces have the same names"
    );
    let atomics = |version: &str| {
        format!(
            r#"{} (import "wasi:keyvalue/atomics@{version}" (instance
                (alias outer 1 $error-{version} (type $e0)) (export "error" (type $error (eq $e0)))
                (alias outer 1 $bucket-{version} (type $b0)) (export "bucket" (type $bucket (eq $b0)))
                (export "increment" (func (param "bucket" (borrow $bucket)) (param "key" string) (param "delta" s64)
                    (result (result s64 (error $error)))))))"#,
            batch(version, PROPOSAL)
        )
    };
    let spin = batch("0.2.0", SPIN);
    let (_, told) = refusal(&text(&format!("(component {} {spin})", atomics("0.2.0-draft2"))));
    assert!(
        told.contains("0.2.0-draft2 as the shape 0.2.0-draft2 and 0.2.0 as the shape 0.2.0-draft2 (Spin)"),
        "{told}"
    );
}

/// Each version is told by itself: what one has that is known does not make the other so.
#[test]
fn one_of_two_versions_that_is_not_supported_is_refused_by_name() {
    let known = batch("0.2.0-draft", PROPOSAL);
    for (other, why) in [
        (r#"(import "wasi:keyvalue/eventual@0.2.0-draft3" (instance (export "f" (func))))"#, "February 2024"),
        (
            r#"(import "wasi:keyvalue/store@9.9.9" (instance (export "f" (func))))"#,
            "it imports wasi:keyvalue@9.9.9, of an unknown shape: wasi:keyvalue/store@9.9.9.f is ()",
        ),
    ] {
        let (kind, told) = refusal(&text(&format!("(component {known} {other})")));
        assert_eq!(kind, ErrorKind::UnknownShape, "{told}");
        assert!(told.contains(why), "{told}");
    }
    // The newer one is no reason to take the older for the shape of February 2024.
    let (guest, _) = load(&both("0.2.0-draft2", "wasi-keyvalue-error", "eventual", "@0.1.0")).unwrap();
    assert_eq!(guest.shapes(), [Shape::V0_1_0, Shape::Draft2]);
}
