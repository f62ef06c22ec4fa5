//! Calls everything that the shape golem-2023 of `wasi:keyvalue` has.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-2023-11-10.wit", "../../wit/keyvalue/golem-2023.wit", "../../wit/guests.wit"],
    inline: "
        package kv:exerciser;
        world exerciser {
          import wasi:keyvalue/readwrite;
          import wasi:keyvalue/atomic;
          import wasi:keyvalue/batch;
          export kv:guests/calls;
          export kv:guests/tour;
        }
    ",
    world: "kv:exerciser/exerciser",
    generate_all,
});

#[path = "../../exerciser-values/bodies.rs"]
mod bodies;
#[path = "../../exerciser-values/no_cache.rs"]
mod cache;
#[path = "../../exerciser-values/calls.rs"]
mod calls;
mod shape;
#[path = "../../exerciser-values/streaming.rs"]
mod streaming;
#[path = "../../exerciser-values/tour.rs"]
mod tour;

struct Exerciser;

export!(Exerciser);
