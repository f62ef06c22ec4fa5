//! Programs that get and set.

use std::path::Path;

use kv_wasi::{Access, Host};

use crate::needs::built;
use crate::program::{self, Program};
use crate::run::Kv;
use crate::{block_on, component, is_kept};

pub(crate) fn all(url: &str) {
    for name in ["example-2023", "example-2023-wasi", "example-0.1.0"] {
        example(&program::path(name), url);
    }
}

/// The value is there again after the host has ended, and a missing key is none.
fn example(component: &Path, url: &str) {
    for is_first in [true, false] {
        block_on(async {
            let store = kv::open(url).await.unwrap();
            let program = Program::load(component, &Host::new(Access::all_of(&store)));
            let mut running = program.start().await;
            let mut get = async |key: &str| {
                let (found,): (Option<Vec<u8>>,) = running.call("golem:examples/api#get", ("b", key)).await.unwrap();
                found
            };
            if is_first {
                assert_eq!(get("k").await, None);
                running.call::<_, ()>("golem:examples/api#set", ("b", "k", &b"v\0\xff"[..])).await.unwrap();
            } else {
                assert_eq!(get("k").await.as_deref(), Some(&b"v\0\xff"[..]));
                assert_eq!(get("missing").await, None);
                store.drop_bucket("b").await.unwrap();
            }
            store.close().await.unwrap();
        });
    }
}

pub(crate) fn javascript(url: &str) {
    example(&built("js"), url);
}

pub(crate) fn python(url: &str) {
    example(&built("python"), url);
}

/// Each run is a process of its own.
pub(crate) fn command(url: &str) {
    let (kv, command) = (Kv::at(url), component("command"));
    kv.ok(&["run", &command, "--", "set", "b", "k", "v"]);
    let found = if is_kept(url) { "found v\n" } else { "found none\n" };
    assert_eq!(kv.ok(&["run", &command, "--env", "KV_PREFIX=found ", "--", "get", "b", "k"]).text(), found);
    assert_eq!(kv.ok(&["run", &command, "--", "get", "b", "missing"]).text(), "none\n");
    kv.run(&["run", &command, "--", "nonsense"]).code(1);
    if is_kept(url) {
        assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
    }
}
