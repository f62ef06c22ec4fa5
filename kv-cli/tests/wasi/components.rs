//! Components of a few lines, for what the guests that are kept do not do.

use crate::run::Kv;

/// A component beside the store, from its text.
pub(crate) fn file(kv: &Kv, name: &str, wat: &str) -> String {
    kv.file(&format!("{name}.wasm"), wat::parse_str(wat).unwrap_or_else(|cause| panic!("{cause}")))
}

/// Exports the function `f`, which does nothing, from each of these interfaces; `""` is the component itself.
pub(crate) fn exporter(interfaces: &[&str]) -> String {
    let export = |interface: &&str| match *interface {
        "" => r#"(export "f" (func $f))"#.to_owned(),
        interface => format!(r#"(export "{interface}" (instance $api))"#),
    };
    let exports: String = interfaces.iter().map(export).collect();
    format!(
        r#"(component
          (core module $m (func (export "f")))
          (core instance $i (instantiate $m))
          (func $f (canon lift (core func $i "f")))
          (instance $api (export "f" (func $f)))
          {exports})"#
    )
}

/// Imports the function `f` from this interface, and exports `call`, which calls it, and `rest`, which does not.
pub(crate) fn importer(interface: &str) -> String {
    format!(
        r#"(component
          (import "{interface}" (instance $api (export "f" (func))))
          (core func $f (canon lower (func $api "f")))
          (core module $m
            (import "host" "f" (func $f))
            (func (export "call") (call $f))
            (func (export "rest")))
          (core instance $host (export "f" (func $f)))
          (core instance $i (instantiate $m (with "host" (instance $host))))
          (func (export "call") (canon lift (core func $i "call")))
          (func (export "rest") (canon lift (core func $i "rest"))))"#
    )
}

/// Ends itself with success or failure in the middle of a call.
pub(crate) const EXIT: &str = r#"(component
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $m
    (import "host" "exit" (func $exit (param i32)))
    (func (export "leave") (param i32) (call $exit (local.get 0)) unreachable))
  (core instance $host (export "exit" (func $exit)))
  (core instance $i (instantiate $m (with "host" (instance $host))))
  (func (export "leave") (param "status" (result)) (canon lift (core func $i "leave"))))"#;

/// What prints `begun` on standard error, by the core functions `get` and `write`.
const PRINT: &str = r#"
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error-type (type $own-error))
    (export "error" (type $error (eq $own-error)))
    (type $cases (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $cases)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $stream (type $own-stream))
    (export "output-stream" (type $stream (eq $own-stream)))
    (export "get-stderr" (func (result (own $stream))))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 0) "begun\n"))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $memory "memory"))))
  (core module $print
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "begun") (call $write (call $get) (i32.const 0) (i32.const 6) (i32.const 64))))
  (core instance $host (export "get" (func $get)) (export "write" (func $write)))
  (core instance $print (instantiate $print (with "host" (instance $host))))"#;

/// Never ends.
pub(crate) const SPIN: &str = "(loop $l (br $l))";

/// Answers a request by printing `begun` on standard error, and doing this then.
pub(crate) fn handler(then: &str) -> String {
    handler_with(then, "")
}

/// The same, with more in it.
pub(crate) fn handler_with(then: &str, more: &str) -> String {
    handler_on(then, more, "", "")
}

/// The same, importing more from these instances.
fn handler_on(then: &str, more: &str, imports: &str, with: &str) -> String {
    format!(
        r#"(component {PRINT} {more}
          (import "wasi:http/types@0.2.0" (instance $types
            (export "incoming-request" (type (sub resource)))
            (export "response-outparam" (type (sub resource)))))
          (alias export $types "incoming-request" (type $request))
          (alias export $types "response-outparam" (type $answer))
          (core module $m
            (import "print" "begun" (func $begun))
            {imports}
            (func (export "handle") (param i32 i32) (call $begun) {then}))
          (core instance $i (instantiate $m (with "print" (instance $print)) {with}))
          (func $handle (param "request" (own $request)) (param "response-out" (own $answer))
            (canon lift (core func $i "handle")))
          (instance $handler (export "handle" (func $handle)))
          (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    )
}

/// Answers a request by writing to the cache of `0.1.0` without end, and without waiting for it.
pub(crate) fn writer() -> String {
    handler_on(
        r#"(loop $l (call $drop (call $delete (i32.const 0) (i32.const 5))) (br $l))"#,
        r#"(import "wasi:keyvalue/cache@0.1.0" (instance $cache
             (export "future-result" (type $future (sub resource)))
             (export "delete" (func (param "k" string) (result (own $future))))))
           (alias export $cache "future-result" (type $future))
           (core func $delete (canon lower (func $cache "delete") (memory (core memory $memory "memory"))))
           (core func $drop (canon resource.drop $future))
           (core instance $more (export "delete" (func $delete)) (export "drop" (func $drop)))"#,
        r#"(import "more" "delete" (func $delete (param i32 i32) (result i32)))
           (import "more" "drop" (func $drop (param i32)))"#,
        r#"(with "more" (instance $more))"#,
    )
}

/// Hears of an entry that is gone by printing `begun` on standard error, and doing this then.
pub(crate) fn watcher(then: &str) -> String {
    format!(
        r#"(component {PRINT}
          (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store (export "bucket" (type (sub resource)))))
          (alias export $store "bucket" (type $bucket))
          (core module $m
            (import "print" "begun" (func $begun))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "set") (param i32 i32 i32 i32 i32))
            (func (export "delete") (param i32 i32 i32) (call $begun) {then}))
          (core instance $i (instantiate $m (with "print" (instance $print))))
          (func $set (param "bucket" (own $bucket)) (param "key" string) (param "value" (list u8))
            (canon lift (core func $i "set")
              (memory (core memory $memory "memory")) (realloc (core func $i "realloc"))))
          (func $delete (param "bucket" (own $bucket)) (param "key" string)
            (canon lift (core func $i "delete")
              (memory (core memory $memory "memory")) (realloc (core func $i "realloc"))))
          (instance $watcher (export "on-set" (func $set)) (export "on-delete" (func $delete)))
          (export "wasi:keyvalue/watcher@0.2.0-draft2" (instance $watcher)))"#
    )
}

/// Hands over so many bytes: `open` to the host as a bucket's name, `give` as its result.
pub(crate) const LARGE: &str = r#"(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
    (type $cases (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $cases)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))))
  (core module $memory
    (memory (export "memory") 4096)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $open (canon lower (func $store "open")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "memory" "memory" (memory 4096))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (func (export "open") (param i32) (call $open (i32.const 65536) (local.get 0) (i32.const 0)))
    (func (export "give") (param i32) (result i32)
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (local.get 0))
      (i32.const 0)))
  (core instance $host (export "open" (func $open)))
  (core instance $i (instantiate $m (with "memory" (instance $memory)) (with "host" (instance $host))))
  (func (export "open") (param "bytes" u32) (canon lift (core func $i "open")))
  (func (export "give") (param "bytes" u32) (result (list u8))
    (canon lift (core func $i "give") (memory (core memory $memory "memory")))))"#;
