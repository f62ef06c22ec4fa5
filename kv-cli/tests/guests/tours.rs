use kv_wasi::{Access, Host};

use crate::program::{self, Program};
use crate::{EXERCISERS, block_on};

/// Each exerciser calls every function of its shape and tells what it gave.
pub(crate) fn all(url: &str) {
    block_on(async {
        let store = kv::open(url).await.unwrap();
        for name in EXERCISERS {
            let program = Program::load(&program::path(name), &Host::new(Access::all_of(&store)));
            let mut running = program.start().await;
            let (lines,): (Vec<String>,) = running.call("kv:guests/tour#run", ("tour",)).await.unwrap();
            let expected = std::fs::read_to_string(program::path(name).with_extension("txt")).unwrap();
            for (n, (line, expected)) in lines.iter().zip(expected.lines()).enumerate() {
                assert_eq!(line, expected, "{name}, line {} of its tour", n + 1);
            }
            assert_eq!(lines.len(), expected.lines().count(), "{name}");
            assert_eq!(store.buckets().await.unwrap(), Vec::<String>::new(), "{name} leaves nothing behind");
        }
        store.close().await.unwrap();
    });
}
