//! Programs of Golem's newer 0.1.0, and those that need more of WebAssembly than most.

use kv_wasi::{Access, ErrorKind, Host, Limits, Shape};
use wasmtime::{Config, Engine};

use crate::run::Program;

const STREAMS: &str = include_str!("streams.wat");

#[tokio::test]
async fn golems_newer_shape_runs_until_it_calls_a_stream() {
    let component = wat::parse_str(STREAMS).unwrap();
    let host = Host::new(Access::none());
    let program = Program::of(&component, &host);
    assert_eq!(program.guest.shapes(), [Shape::V0_1_0]);
    let traps: Vec<&str> = program.guest.traps().iter().map(|function| function.name.as_str()).collect();
    assert_eq!(traps, ["[method]outgoing-value.outgoing-value-write-body-async", "[method]future-result.get"]);
    let mut running = program.start().await;
    assert_eq!(running.call::<_, (u32,)>("whole", ()).await.unwrap(), (0,));
    let trap = running.call::<_, (u32,)>("streamed", ()).await.unwrap_err();
    let text = trap.root_cause().to_string();
    let called = "wasi:keyvalue/types@0.1.0#[method]outgoing-value.outgoing-value-write-body-async is called";
    assert!(text.starts_with(called), "{text}");
}

#[test]
fn an_engine_without_streams_is_told_so() {
    let engine = Engine::new(Config::new().concurrency_support(false)).unwrap();
    let error = Host::new(Access::none()).load(&engine, &wat::parse_str(STREAMS).unwrap()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NeedsAsync, "{error}");
    assert!(error.to_string().contains("Config::concurrency_support"), "{error}");
}

/// Throws and catches, and links more and more objects for which there is a garbage collector.
const COLLECTED: &str = r#"(component
    (core module $m
      (type $blob (array (mut i64)))
      (type $node (struct (field (ref null $node)) (field (ref null $blob))))
      (tag $thrown (param i32))
      (func (export "thrown") (result i32)
        (block $caught (result i32)
          (try_table (catch $thrown $caught) (throw $thrown (i32.const 7)))
          (i32.const 0)))
      (func (export "dropped") (result i32) (local $turn i32)
        (loop $again
          (drop (struct.new $node (ref.null $node) (array.new_default $blob (i32.const 1000))))
          (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $turn) (i32.const 10000))))
        (local.get $turn))
      (func (export "kept") (param $many i32) (local $all (ref null $node))
        (loop $again
          (local.set $all (struct.new $node (local.get $all) (array.new_default $blob (i32.const 1000))))
          (local.set $many (i32.sub (local.get $many) (i32.const 1)))
          (br_if $again (local.get $many)))))
    (core instance $i (instantiate $m))
    (func (export "thrown") (result u32) (canon lift (core func $i "thrown")))
    (func (export "dropped") (result u32) (canon lift (core func $i "dropped")))
    (func (export "kept") (param "many" u32) (canon lift (core func $i "kept"))))"#;

#[tokio::test]
async fn what_a_collector_keeps_counts_as_memory() {
    let component = wat::parse_str(COLLECTED).unwrap();
    let program = |mebibytes: usize| {
        let limits = Limits { memory_bytes: mebibytes << 20, total_memory_bytes: mebibytes << 20, ..Limits::default() };
        Program::of(&component, &Host::new(Access::none()).limits(limits))
    };
    // 40 MB are kept, and copied at times.
    program(256).start().await.call::<_, ()>("kept", (5_000_u32,)).await.unwrap();
    let small = program(16);
    let mut running = small.start().await;
    assert_eq!(running.call::<_, (u32,)>("thrown", ()).await.unwrap(), (7,));
    // 80 MB, of which nothing stays.
    assert_eq!(running.call::<_, (u32,)>("dropped", ()).await.unwrap(), (10_000,));
    let trap = running.call::<_, ()>("kept", (5_000_u32,)).await.unwrap_err();
    assert!(trap.root_cause().to_string().contains("GC heap out of memory"), "{trap:?}");
    drop(running);
    // What the first one had is free again.
    assert_eq!(small.start().await.call::<_, (u32,)>("dropped", ()).await.unwrap(), (10_000,));
}
