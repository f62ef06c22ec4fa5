//! What this binary does when it is started as a child.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use kv_core::{Durability, Store};

use crate::support::{block_on, open, value};
use crate::{crash, damage};

pub(crate) fn run(role: &str) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the first argument is a folder"));
    let durability = match arguments.next().as_deref() {
        Some("relaxed") => Durability::Volatile,
        Some("power") => Durability::Power,
        _ => Durability::Process,
    };
    block_on(async {
        // What is not for the parent must not fill its pipe.
        std::panic::set_hook(Box::new(|_| {}));
        let store = match open(&folder, durability).await {
            Ok(store) => store,
            Err(error) => {
                say(&format!("refused {} {}", error.kind(), error.trace()));
                return;
            }
        };
        match role {
            "hold" => hold(&store).await,
            "write" => crash::write(&store).await,
            "read" => damage::read(&store).await,
            "sync" => sync(&store).await,
            other => panic!("no child is called {other}"),
        }
    });
    ExitCode::SUCCESS
}

/// Prints a line at once and with one system call, so that a trace shows when.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

/// Keeps the store open until the parent closes the child's input.
async fn hold(store: &Store) {
    say("open");
    let _ = io::stdin().read_line(&mut String::new());
    let _ = store.close().await;
}

/// Writes values of several sizes, each between two lines.
async fn sync(store: &Store) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    for round in 0..3 {
        for (name, bytes) in [("small", 100), ("16k", 16 << 10), ("1m", 1 << 20)] {
            say(&format!("BEGIN {name}{round}"));
            // A key of its own: removing what was replaced writes in the background, and is not what is traced.
            let key = format!("{name}{round}");
            bucket.set(&key, value(&key, bytes)).await.expect("a value is set");
            say(&format!("ACK {name}{round}"));
        }
    }
}
