//! Calls everything that the shape 0.2.0-draft2 of `wasi:keyvalue` has.

wit_bindgen::generate!({
    path: ["../../wit/keyvalue/0.2.0-draft2.wit", "../../wit/guests.wit"],
    inline: "
        package kv:exerciser;
        world exerciser {
          import wasi:keyvalue/store@0.2.0-draft2;
          import wasi:keyvalue/atomics@0.2.0-draft2;
          import wasi:keyvalue/batch@0.2.0-draft2;
          export kv:guests/calls;
          export kv:guests/tour;
        }
    ",
    world: "kv:exerciser/exerciser",
    generate_all,
});

#[path = "../../exerciser-store/calls.rs"]
mod calls;
#[path = "../../exerciser-store/cas.rs"]
mod cas;
#[path = "../../exerciser-store/signed.rs"]
mod shape;
#[path = "../../exerciser-store/tour.rs"]
mod tour;

struct Exerciser;

/// A missing entry of a batch is `none` as a whole.
fn value(entry: Option<(String, Vec<u8>)>) -> Option<Vec<u8>> {
    entry.map(|(_, value)| value)
}

export!(Exerciser);
