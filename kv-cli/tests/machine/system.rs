//! A terminal, another user's folder, a full disk.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Test;
use crate::needs::{Need, mount, unmount};
use crate::run::{Kv, Ran, binary_at, finish};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "terminal::values_and_names_are_safe", needs: &[Need::Script], run: values_and_names_are_safe },
    Test { name: "terminal::drop_bucket_asks", needs: &[Need::Script], run: drop_bucket_asks },
    Test { name: "terminal::import_shows_a_bar", needs: &[Need::Script], run: import_shows_a_bar },
    Test { name: "system::a_folder_of_somebody_else", needs: &[Need::Root], run: a_folder_of_somebody_else },
    Test { name: "system::a_full_disk", needs: &[Need::Mount], run: a_full_disk },
    Test { name: "system::output_to_a_full_disk", needs: &[], run: output_to_a_full_disk },
];

/// Runs the command on a terminal; gives all that it showed, and its exit code.
fn on_terminal(kv: &Kv, command: &str, input: &str) -> Ran {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_kv"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env("KV_STORE", kv.url()).env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    Ran::from(child.wait_with_output().unwrap())
}

fn values_and_names_are_safe() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "a\u{1b}[2J\nz", "value"]);
    assert_eq!(on_terminal(&kv, "keys b", "").code(0).text(), "a\\u{1b}[2J\\nz\r\n");
    assert_eq!(on_terminal(&kv, "keys b -0", "").code(0).text(), "a\u{1b}[2J\r\nz\0");
    kv.ok(&["set", "b", "k", "value"]);
    assert_eq!(on_terminal(&kv, "get b k", "").code(0).text(), "value\r\n");
    assert!(on_terminal(&kv, "tour", "").code(0).text().contains("\u{1b}[1mRead and write"));
}

fn drop_bucket_asks() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    let no = on_terminal(&kv, "drop-bucket b", "n\n").code(1);
    assert!(no.text().contains("Remove all entries of the bucket b? [y/N]"), "{}", no.text());
    assert_eq!(kv.ok(&["buckets"]).text(), "b\n");
    on_terminal(&kv, "drop-bucket b", "y\n").code(0);
    assert_eq!(kv.ok(&["buckets"]).text(), "");
}

fn import_shows_a_bar() {
    let kv = Kv::new();
    let names: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let file = kv.file("names", names.join("\n"));
    let ran = on_terminal(&kv, &format!("import b {file} --format lines"), "").code(0);
    assert!(ran.text().contains("acknowledged ") && ran.text().contains("stored 5000 records"), "{}", ran.text());
}

fn a_folder_of_somebody_else() {
    const NOBODY: u32 = 65_534;
    let kv = Kv::new();
    // A copy that everybody may run, wherever the build is.
    let program = kv.path("kv");
    std::fs::copy(env!("CARGO_BIN_EXE_kv"), &program).unwrap();
    std::fs::set_permissions(kv.path("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    kv.ok(&["set", "b", "k", "v"]);
    std::fs::set_permissions(kv.path("store"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let as_nobody = |args: &[&str]| {
        let mut command = binary_at(&program);
        command.args(["--store", kv.url()]).args(args).current_dir("/").uid(NOBODY).gid(NOBODY);
        finish(&mut command)
    };
    for args in [&["get", "b", "k"][..], &["set", "b", "k", "w"]] {
        as_nobody(args).code(3).says("does not allow it");
        assert!(as_nobody(&[&["--json"], args].concat()).err.contains("\"kind\":\"AccessDenied\""));
    }
    assert_eq!(kv.ok(&["get", "b", "k"]).out, b"v");
}

fn a_full_disk() {
    let kv = Kv::new();
    let disk = kv.path("disk");
    std::fs::create_dir(&disk).unwrap();
    assert!(mount(&disk, "8m"), "the check before said that it works");
    let ended = std::panic::catch_unwind(|| on_full_disk(&kv, &disk));
    unmount(&disk);
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn on_full_disk(kv: &Kv, disk: &Path) {
    let url = format!("sled:{}/store", disk.display());
    let run = |args: &[&str]| finish(kv.command(args).env("KV_STORE", &url));
    run(&["set", "b", "first", "kept"]).code(0);
    let words: Vec<String> = (0..400_000).map(|n| format!("a word of some length, to fill the disk: {n}")).collect();
    let file = kv.file("words", words.join("\n"));
    let ran = run(&["import", "words", &file, "--format", "lines"]).code(3);
    let told: Vec<&str> = ran.err.lines().collect();
    let (sentence, numbers) = told.split_last().unwrap();
    assert!(sentence.starts_with("kv: ") && sentence.contains("--resume"), "{sentence}");
    let acknowledged = numbers.iter().filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).next_back();
    let acknowledged: usize = acknowledged.unwrap_or(0);
    assert!(acknowledged < words.len());
    // Somebody makes room: a larger disk with what was on this one.
    let roomy = kv.path("roomy");
    let copied = Command::new("cp").arg("-r").arg(disk.join("store")).arg(&roomy).status().unwrap();
    assert!(copied.success());
    let url = format!("sled:{}", roomy.display());
    let run = |args: &[&str]| finish(kv.command(args).env("KV_STORE", &url));
    assert_eq!(run(&["get", "b", "first"]).code(0).out, b"kept");
    let listed = run(&["keys", "words"]).code(0);
    let found: std::collections::BTreeSet<&str> = listed.text().lines().collect();
    let lost = words.iter().take(acknowledged).filter(|word| !found.contains(word.as_str())).count();
    assert_eq!(lost, 0, "of {acknowledged} acknowledged");
}

fn output_to_a_full_disk() {
    let kv = Kv::new();
    kv.ok(&["set", "b", "k", "v"]);
    for args in [&["export", "b"][..], &["get", "b", "k"], &["keys", "b"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = Ran::from(
            kv.command(args).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap(),
        );
        ran.code(3).says("writing to standard output failed");
    }
}
