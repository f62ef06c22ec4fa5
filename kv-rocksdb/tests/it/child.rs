//! What this binary does when it is started as a child.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use kv_core::Store;

use crate::support::{block_on, class, open, value};
use crate::{crash, drops, faults, large, ledger, sweeping};

pub(crate) fn run(role: &str) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the first argument is a folder"));
    let durability = class(&arguments.next().expect("the second argument is a class"));
    let rest: Vec<String> = arguments.collect();
    block_on(async {
        say("opening");
        let store = match open(&folder, durability).await {
            Ok(store) => store,
            Err(error) => return say(&format!("refused {} {}", error.kind(), error.trace())),
        };
        match role {
            "leave" => return crash::leave(&store).await,
            "hold" => hold(),
            "write" => crash::write(&store, &folder, rest[0].parse().expect("a number")).await,
            "read" => ledger::read(&store).await,
            "sync" => sync(&store).await,
            "group" => group(&store, true).await,
            "quiet" => group(&store, false).await,
            "fault" => faults::write(&store, rest[0].parse().expect("a number")).await,
            "beside" => large::write_beside(&store).await,
            "drop" => drops::drop_one(&store).await,
            "drop-old" => sweeping::drop_old(&store).await,
            other => panic!("no child is called {other}"),
        }
        let _ = store.close().await;
    });
    ExitCode::SUCCESS
}

/// Prints a line at once and with one system call, so that a trace shows when, and a kill takes none of it.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

/// Waits for the parent to write a line, or to close the child's input.
pub(crate) fn wait_for_parent() {
    let _ = io::stdin().read_line(&mut String::new());
}

/// Keeps the store open until the parent closes the child's input.
fn hold() {
    say("open");
    wait_for_parent();
}

/// Writes values of several sizes, each between two lines.
async fn sync(store: &Store) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    for round in 0..3 {
        for (name, bytes) in [("small", 100), ("16k", 16 << 10), ("1m", 1 << 20)] {
            say(&format!("BEGIN {name}{round}"));
            let key = format!("{name}{round}");
            bucket.set(&key, value(&key, bytes)).await.expect("a value is set");
            say(&format!("ACK {name}{round}"));
        }
        // Each way to write has to wait, not only the commonest.
        say(&format!("BEGIN many{round}"));
        bucket.set_many((0..20).map(|n| (format!("m{n}"), format!("{round}")))).await.expect("a batch is set");
        say(&format!("ACK many{round}"));
        say(&format!("BEGIN count{round}"));
        bucket.increment("count", 1).await.expect("a counter counts");
        say(&format!("ACK count{round}"));
        say(&format!("BEGIN delete{round}"));
        bucket.delete(&format!("small{round}")).await.expect("an entry is deleted");
        say(&format!("ACK delete{round}"));
    }
    let other = store.open_bucket("other").await.expect("a bucket opens");
    other.set("k", "v").await.expect("a value is set");
    // Last, because what it leaves is tidied up in the background, and that may be written at any time.
    say("BEGIN drop");
    store.drop_bucket("other").await.expect("a bucket is dropped");
    say("ACK drop");
}

/// Writers and the writes of each in [`group`].
pub(crate) const GROUP: (usize, usize) = (64, 20);

/// Many writers at once, each write between two lines, or all of them: what is said takes time under a trace, in which
/// writers that would have waited together come one by one.
async fn group(store: &Store, says_each: bool) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    say("BEGIN all");
    let tasks: Vec<_> = (0..GROUP.0)
        .map(|writer| {
            let bucket = bucket.clone();
            tokio::spawn(async move {
                let tell = |word: &str, key: &str| {
                    if says_each {
                        say(&format!("{word} {key}"));
                    }
                };
                for n in 0..GROUP.1 {
                    let key = format!("{writer}-{n}");
                    tell("BEGIN", &key);
                    bucket.set(&key, value(&key, 100)).await.expect("a value is set");
                    tell("ACK", &key);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a writer ends");
    }
    say("ACK all");
}
