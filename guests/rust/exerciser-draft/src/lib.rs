//! Calls everything that the shape 0.2.0-draft of `wasi:keyvalue` has.

wit_bindgen::generate!({
    path: ["../../wit/keyvalue/0.2.0-draft.wit", "../../wit/guests.wit"],
    inline: "
        package kv:exerciser;
        world exerciser {
          import wasi:keyvalue/store@0.2.0-draft;
          import wasi:keyvalue/atomics@0.2.0-draft;
          import wasi:keyvalue/batch@0.2.0-draft;
          export kv:guests/calls;
          export kv:guests/tour;
        }
    ",
    world: "kv:exerciser/exerciser",
    generate_all,
});

#[path = "../../exerciser-store/calls.rs"]
mod calls;
#[path = "../../exerciser-store/no_cas.rs"]
mod cas;
mod shape;
#[path = "../../exerciser-store/tour.rs"]
mod tour;

struct Exerciser;

export!(Exerciser);
