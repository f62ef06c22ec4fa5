//! Calls everything that the shape 0.1.0 of `wasi:keyvalue` has.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-0.2.3.wit", "../../wit/keyvalue/0.1.0.wit", "../../wit/guests.wit"],
    inline: "
        package kv:exerciser;
        world exerciser {
          import wasi:keyvalue/eventual@0.1.0;
          import wasi:keyvalue/eventual-batch@0.1.0;
          import wasi:keyvalue/atomic@0.1.0;
          import wasi:keyvalue/cache@0.1.0;
          export kv:guests/calls;
          export kv:guests/tour;
        }
    ",
    world: "kv:exerciser/exerciser",
    generate_all,
});

#[path = "../../exerciser-values/bodies.rs"]
mod bodies;
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
