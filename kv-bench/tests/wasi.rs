//! Smoke runs of the measurements of the WebAssembly host.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kv-bench-wasi");

fn main() -> ExitCode {
    let mut trials = vec![passing("each_row_is_measured", each_row_is_measured), with_kv("serving_is_measured")];
    if cfg!(unix) {
        trials.push(passing("requests_that_fail_end_it_with_1", requests_that_fail_end_it_with_1));
        trials.push(passing("a_server_that_ends_is_told", a_server_that_ends_is_told));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn passing(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// The command is another crate's, so cargo builds it for this test only where it builds the whole workspace. Where it is
/// missing the test is ignored, or fails where everything has to be there.
fn with_kv(name: &str) -> Trial {
    let why = "there is no kv with the feature wasi beside kv-bench-wasi";
    match kv() {
        Some(kv) => Trial::test(name, move || {
            serving_is_measured(&kv);
            Ok(())
        }),
        None if std::env::var_os("KV_TEST_REQUIRE").is_some_and(|require| require == "all") => {
            Trial::test(name, move || Err(Failed::from(format!("{why}; `cargo xtask test` builds it"))))
        }
        None => Trial::test(format!("{name} ({why})"), || Ok(())).with_ignored_flag(true),
    }
}

/// The command `kv` of the same build, if it serves guests.
fn kv() -> Option<PathBuf> {
    let kv = Path::new(PROGRAM).with_file_name(format!("kv{}", std::env::consts::EXE_SUFFIX));
    let inspected = Command::new(&kv).args(["inspect", &guest("http-counter")]).output();
    inspected.is_ok_and(|inspected| inspected.status.success()).then_some(kv)
}

fn guest(name: &str) -> String {
    format!("{}/../guests/built/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

fn each_row_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Command::new(PROGRAM);
    let ran = bench.args(["--quick", "--guest", &guest("bench"), "--out"]).arg(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let rows = report(folder.path(), "wasi.json");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["provider_ns"].as_f64().unwrap() > 0.0));
}

fn serving_is_measured(kv: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let ran = serve(kv, &["--quick"], folder.path());
    assert!(ran.status.success(), "{ran:?}");
    let report = report(folder.path(), "wasi-serve.json");
    let turns = &report["turns"];
    for served in [&report["alone"], &turns["ours"], &turns["beside"]] {
        assert!(served["requests"].as_u64() > Some(0) && served["errors"].as_u64() == Some(0), "{served}");
        let [p50, p99] = ["p50_ns", "p99_ns"].map(|field| served[field].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99, "{served}");
    }
    assert!(turns["ratio"].as_f64() > Some(0.0), "{turns}");
    let memory = &report["memory"];
    assert_eq!(memory.is_object(), cfg!(target_os = "linux"), "{memory}");
    if memory.is_object() {
        assert!(memory["settled"]["bytes"].as_u64() > Some(1 << 20) && memory["met"].is_boolean(), "{memory}");
    }
}

fn requests_that_fail_end_it_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // It lives until the server is ended.
    let then = "exec sleep 600";
    let kv = command(folder.path(), &listener, then);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || refuse(client));
        }
    });
    let options = ["--seconds", "1", "--rounds", "0", "--connections", "2"];
    let ran = serve(&kv, &options, folder.path());
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(complaints(&ran).contains("requests to kv serve failed, the first with: 503"), "{ran:?}");
    // What was measured is told all the same.
    let report = report(folder.path(), "wasi-serve.json");
    assert!(report["alone"]["errors"].as_u64() > Some(0), "{report}");

    let quick = serve(&kv, &[&options[..], &["--quick"]].concat(), folder.path());
    assert!(quick.status.success(), "{quick:?}");
}

fn a_server_that_ends_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // Requests get there and have no answer, or one that fails would be told if it came before the server's end.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let kv = command(folder.path(), &listener, "exit 7");
    let ran = serve(&kv, &["--quick"], folder.path());
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(
        complaints(&ran).contains("kv serve has ended") || complaints(&ran).contains("ended under load"),
        "{ran:?}"
    );
    drop(listener);
}

/// A command in place of `kv` that says that it listens where another does.
fn command(folder: &Path, listener: &TcpListener, then: &str) -> PathBuf {
    let path = folder.join("kv.sh");
    let address = listener.local_addr().unwrap();
    let script = format!("#!/bin/sh\necho '{{\"listening\": \"http://{address}\"}}'\n{then}\n");
    std::fs::write(&path, script).unwrap();
    let made = Command::new("chmod").arg("+x").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

/// Answers each request of a client that the server can do nothing for it.
fn refuse(client: TcpStream) {
    let mut answers = client.try_clone().unwrap();
    for line in BufReader::new(client).lines() {
        match line {
            // The end of a head, and with it of the request.
            Ok(line) if line.is_empty() => {
                let _ = answers.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn serve(kv: &Path, options: &[&str], out: &Path) -> Output {
    let mut bench = Command::new(PROGRAM);
    bench.arg("serve").arg(kv).args(["--guest", &guest("http-counter")]).args(options).arg("--out").arg(out);
    bench.output().unwrap()
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}
