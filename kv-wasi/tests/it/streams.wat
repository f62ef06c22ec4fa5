;; A program of Golem's newer 0.1.0: it imports the calls with streams and async functions beside the others.
(component
  (type $bytes (stream u8))
  (import "wasi:keyvalue/wasi-keyvalue-error@0.1.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:keyvalue/types@0.1.0" (instance $types
    (alias outer 1 $error (type $e0)) (export "error" (type $e (eq $e0)))
    (type $data (stream u8))
    (export "outgoing-value" (type $value (sub resource)))
    (export "[static]outgoing-value.new-outgoing-value" (func (result (own $value))))
    (export "[method]outgoing-value.outgoing-value-write-body-sync"
      (func (param "self" (borrow $value)) (param "value" (list u8)) (result (result (error (own $e))))))
    (export "[method]outgoing-value.outgoing-value-write-body-async"
      (func (param "self" (borrow $value)) (param "data" $data) (result (result (error (own $e))))))))
  (import "wasi:keyvalue/cache@0.1.0" (instance $cache
    (alias outer 1 $error (type $e0)) (export "error" (type $e (eq $e0)))
    (export "future-result" (type $future (sub resource)))
    (export "delete" (func (param "k" string) (result (own $future))))
    (export "[method]future-result.get"
      (func async (param "self" (borrow $future)) (result (result (error (own $e))))))))

  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $m))
  (core func $new (canon lower (func $types "[static]outgoing-value.new-outgoing-value")))
  (core func $write
    (canon lower (func $types "[method]outgoing-value.outgoing-value-write-body-sync") (memory $m)))
  (core func $stream
    (canon lower (func $types "[method]outgoing-value.outgoing-value-write-body-async") (memory $m)))
  (core func $pair (canon stream.new $bytes))
  (core module $program
    (import "host" "memory" (memory 1))
    (import "host" "new" (func $new (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "stream" (func $stream (param i32 i32 i32)))
    (import "host" "pair" (func $pair (result i64)))
    ;; Whether writing a value failed.
    (func (export "whole") (result i32)
      (call $write (call $new) (i32.const 0) (i32.const 3) (i32.const 8))
      (i32.load8_u (i32.const 8)))
    (func (export "streamed") (result i32)
      (call $stream (call $new) (i32.wrap_i64 (call $pair)) (i32.const 8))
      (i32.load8_u (i32.const 8))))
  (core instance $i (instantiate $program (with "host" (instance
    (export "memory" (memory $m)) (export "new" (func $new)) (export "write" (func $write))
    (export "stream" (func $stream)) (export "pair" (func $pair))))))
  (func (export "whole") (result u32) (canon lift (core func $i "whole")))
  (func (export "streamed") (result u32) (canon lift (core func $i "streamed"))))
