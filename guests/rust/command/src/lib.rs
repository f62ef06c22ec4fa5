//! A command: `get BUCKET KEY` prints the value or `none`, `set BUCKET KEY VALUE` sets it.

wit_bindgen::generate!({
    path: ["../../wit/wasi/io-0.2.3.wit", "../../wit/wasi/cli-0.2.3.wit", "../../wit/keyvalue/0.2.0-draft.wit"],
    inline: "
        package kv:command;
        world command {
          import wasi:cli/environment@0.2.3;
          import wasi:cli/stdout@0.2.3;
          import wasi:keyvalue/store@0.2.0-draft;
          export wasi:cli/run@0.2.3;
        }
    ",
    world: "kv:command/command",
    generate_all,
});

use exports::wasi::cli::run::Guest;
use wasi::cli::environment::{get_arguments, get_environment};
use wasi::cli::stdout::get_stdout;
use wasi::keyvalue::store;

/// Stands before what the command prints, where it is set.
const PREFIX: &str = "KV_PREFIX";

struct Cli;

impl Guest for Cli {
    fn run() -> Result<(), ()> {
        let arguments = get_arguments();
        // The first one is the command's own name.
        let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        match words.as_slice() {
            ["get", bucket, key] => {
                let value = store::open(bucket).and_then(|bucket| bucket.get(key));
                let value = value.map_err(|error| print(format!("error: {error:?}").as_bytes()))?;
                print(value.as_deref().unwrap_or(b"none"));
                Ok(())
            }
            ["set", bucket, key, value] => {
                let done = store::open(bucket).and_then(|bucket| bucket.set(key, value.as_bytes()));
                done.map_err(|error| print(format!("error: {error:?}").as_bytes()))
            }
            _ => {
                print(b"usage: get BUCKET KEY | set BUCKET KEY VALUE");
                Err(())
            }
        }
    }
}

fn print(line: &[u8]) {
    let prefix = get_environment().into_iter().find(|(name, _)| name == PREFIX).map(|(_, value)| value);
    let line = [prefix.unwrap_or_default().as_bytes(), line, b"\n"].concat();
    let stdout = get_stdout();
    // The most that one call of `blocking-write-and-flush` takes.
    for piece in line.chunks(4096) {
        if stdout.blocking_write_and_flush(piece).is_err() {
            return;
        }
    }
}

export!(Cli);
