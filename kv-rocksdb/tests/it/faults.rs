//! A sync or a write that fails once: the write is not acknowledged, what was there stays readable, and after a failed
//! sync nothing is written until the store is opened again (DUR-5).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kv_core::{Durability, Error, Result, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::{say, wait_for_parent};
use crate::support::{Running, Test, block_on, child, ended, fail, has_program, lacking, open, trial, value};

/// Writes before the fault, at most so many until it strikes, and those that are tried after it.
const BEFORE: usize = 20;
const MOST: usize = 200;
const AFTER: usize = 3;

/// What the sizes of values are multiplied by where the engine's buffers have to fill up: 200 writes are 170 MB then.
const HEAVY: usize = 8_192;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 4] = [
        ("faults::a_failed_sync_of_a_table_loses_nothing", failed_flush),
        ("faults::after_a_failed_sync_nothing_is_written", failed_sync),
        ("faults::a_write_without_room_is_not_acknowledged", failed_write),
        ("faults::a_power_write_without_room_is_not_acknowledged", failed_power_write),
    ];
    let can_trace = has_program("strace");
    let test = |(name, test)| if can_trace { trial(name, test) } else { lacking(name, "strace") };
    tests.into_iter().map(test).collect()
}

fn name(n: usize) -> String {
    format!("key{n:04}")
}

fn size(n: usize, times: usize) -> usize {
    match n % 7 {
        0 if times == 1 => 20 << 10,
        _ => 100 * times,
    }
}

/// The child: writes, waits to be made to fail, writes until it fails, and says what still goes.
pub(crate) async fn write(store: &Store, times: usize) {
    let size = |n| size(n, times);
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    for n in 0..BEFORE {
        bucket.set(&name(n), value(&name(n), size(n))).await.expect("a value is set");
        say(&format!("ACK {n}"));
    }
    say("READY");
    wait_for_parent();
    let mut acknowledged = BEFORE;
    let failed = loop {
        if acknowledged == MOST {
            break None;
        }
        match bucket.set(&name(acknowledged), value(&name(acknowledged), size(acknowledged))).await {
            Ok(()) => say(&format!("ACK {acknowledged}")),
            Err(error) => break Some(error),
        }
        acknowledged += 1;
    };
    say(&format!("FAILED {}", word(&failed.map_or(Ok(()), Err))));
    for n in MOST..MOST + AFTER {
        let done = bucket.set(&name(n), value(&name(n), size(n))).await;
        if done.is_ok() {
            say(&format!("ACK {n}"));
        }
        say(&format!("LATER set {}", word(&done)));
    }
    // Each other way to write; none of them touches what was acknowledged.
    say(&format!("LATER set_many {}", word(&bucket.set_many([("x", "1"), ("y", "2")]).await)));
    say(&format!("LATER increment {}", word(&bucket.increment("n", 1).await.map(drop))));
    say(&format!("LATER delete {}", word(&bucket.delete("z").await)));
    say(&format!("LATER delete_many {}", word(&bucket.delete_many(&["x", "y"]).await)));
    say(&format!("LATER drop_bucket {}", word(&store.drop_bucket("other").await)));
    let mut right = 0;
    for n in 0..acknowledged {
        let found = bucket.get(&name(n)).await;
        right += usize::from(found.is_ok_and(|found| found.as_deref() == Some(&value(&name(n), size(n))[..])));
    }
    let listed = bucket.keys("key", None, 10_000).await.map_or(0, |page| page.keys.len());
    say(&format!("READ {right} of {acknowledged}, {} listed", if listed >= acknowledged { "all" } else { "not all" }));
    say(&format!("CLOSED {}", word(&store.close().await)));
}

fn word(done: &Result<(), Error>) -> String {
    match done {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{} {:?} {}", error.kind(), error.effect(), error.trace()),
    }
}

/// Has the child write with a fault in its system calls; gives what it said, and where its store is.
fn run(
    folder: &Path,
    class: &str,
    times: usize,
    fault: impl FnOnce(&Path) -> Result<Vec<String>, Failed>,
) -> Result<Vec<String>, Failed> {
    let (store, log) = (folder.join("store"), folder.join("trace"));
    let mut command = child("fault", &[&store.to_string_lossy(), class, &times.to_string()]);
    let mut running = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut out = BufReader::new(running.0.stdout.take().ok_or("no output")?).lines();
    let mut said = Vec::new();
    while said.last().is_none_or(|line| line != "READY") {
        said.push(out.next().ok_or_else(|| format!("the child ended after {said:?}"))??);
    }
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-y", "-p", &running.0.id().to_string(), "-o"]).arg(&log).args(fault(&store)?);
    let mut tracer = Running(tracer.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
    // Kept to the end: the tracer tells of each new thread there, and would die if nobody listened.
    let mut told = BufReader::new(tracer.0.stderr.take().ok_or("no output")?);
    let mut attached = String::new();
    told.read_line(&mut attached)?;
    if !attached.contains("attached") {
        return fail(format!(
            "this test needs to trace a program that runs, and this machine does not let strace attach to one ({}); allow it by \
             `kernel.yama.ptrace_scope=0`, in a container by the capability SYS_PTRACE, or leave it out with `--skip faults`",
            attached.trim()
        ));
    }
    writeln!(running.0.stdin.take().ok_or("no input")?)?;
    for line in out {
        said.push(line?);
    }
    if !ended(&mut running.0) || !ended(&mut tracer.0) {
        return fail(format!("the child did not end after {said:?}"));
    }
    drop(told);
    if !fs::read_to_string(&log)?.contains("(INJECTED)") {
        return fail(format!("the fault never struck: {said:?}"));
    }
    Ok(said)
}

/// What follows the only line that begins so.
fn line<'a>(said: &'a [String], begin: &str) -> Result<&'a str, Failed> {
    let line = said.iter().find_map(|line| line.strip_prefix(begin));
    line.ok_or_else(|| format!("the child did not say {begin}: {said:?}").into())
}

/// What every fault has in common: reads go on, and opening again gives all that was acknowledged, and writes.
fn nothing_lost(folder: &Path, said: &[String], times: usize) -> Result<(), Failed> {
    let size = |n| size(n, times);
    let acknowledged: Vec<usize> = said.iter().filter_map(|line| line.strip_prefix("ACK ")?.parse().ok()).collect();
    let first = acknowledged.iter().filter(|n| **n < MOST).count();
    let read = line(said, "READ ")?;
    if read != format!("{first} of {first}, all listed") {
        return fail(format!("after the fault: {read} were read, {first} acknowledged"));
    }
    block_on(async {
        let store = open(&folder.join("store"), Durability::Power).await?;
        let bucket = store.open_bucket("b").await?;
        for n in acknowledged {
            if bucket.get(&name(n)).await?.as_deref() != Some(&value(&name(n), size(n))[..]) {
                return fail(format!("{} was acknowledged and is lost", name(n)));
            }
        }
        // The write that failed may be there or not, but whole.
        let found = bucket.get(&name(first)).await?;
        if found.is_some_and(|found| found != value(&name(first), size(first))[..]) {
            return fail("the write that failed left something else");
        }
        bucket.set("after", "v").await?;
        Ok(store.close().await?)
    })
}

/// Fails the first sync of each thread: one that is tried again would succeed, as it does on a real disk that lost the
/// pages.
fn no_sync(_: &Path) -> Result<Vec<String>, Failed> {
    let inject = "inject=fsync,fdatasync:error=EIO:when=1";
    Ok(["-e", "trace=fsync,fdatasync", "-e", inject].map(Into::into).into())
}

fn failed_sync() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let said = run(folder.path(), "power", 1, no_sync)?;
    let failed = line(&said, "FAILED ")?;
    if !failed.contains(" Unknown ") {
        return fail(format!("the write whose sync failed: {failed}"));
    }
    all_unavailable(&said)?;
    nothing_lost(folder.path(), &said, 1)
}

/// The sync of a table fails in the background, where no write waits for it. The engine may write the table again; if it
/// gives up, writing is off.
fn failed_flush() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let said = run(folder.path(), "process", HEAVY, no_sync)?;
    let failed = line(&said, "FAILED ")?;
    eprintln!("after the sync of a table failed: {failed}");
    if failed != "ok" {
        all_unavailable(&said)?;
    }
    nothing_lost(folder.path(), &said, HEAVY)
}

/// Each later write is refused, and says that it did nothing.
fn all_unavailable(said: &[String]) -> Result<(), Failed> {
    let later: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("LATER ")).collect();
    if later.len() != AFTER + 5 {
        return fail(format!("{} later writes: {later:?}", later.len()));
    }
    match later.iter().find(|line| !line.contains(" Unavailable None ")) {
        Some(line) => fail(format!("a later write: {line}")),
        None => Ok(()),
    }
}

/// The engine's log: the newest of its files.
fn newest_log(store: &Path) -> Result<PathBuf, Failed> {
    let files = fs::read_dir(store)?.filter_map(std::result::Result::ok).map(|file| file.path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.max().ok_or_else(|| "there is no log".into())
}

/// Fails one write to the engine's log as a full disk does.
fn no_room(store: &Path) -> Result<Vec<String>, Failed> {
    let log = newest_log(store)?.to_string_lossy().into_owned();
    let trace = "trace=write,pwrite64,writev,pwritev";
    let inject = "inject=write,pwrite64,writev,pwritev:error=ENOSPC:when=1";
    Ok(["-P", &log, "-e", trace, "-e", inject].map(Into::into).into())
}

fn failed_write() -> Result<(), Failed> {
    without_room("process")
}

fn failed_power_write() -> Result<(), Failed> {
    without_room("power")
}

fn without_room(class: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let said = run(folder.path(), class, 1, no_room)?;
    let failed = line(&said, "FAILED ")?;
    if !failed.starts_with("ResourceExhausted ") {
        return fail(format!("the write without room: {failed}"));
    }
    // A later one may go on once there is room; it is then kept, as `nothing_lost` sees.
    let later = said.iter().filter_map(|line| line.strip_prefix("LATER "));
    for line in later {
        if !line.ends_with(" ok") && !line.contains(" Unavailable None ") && !line.contains(" ResourceExhausted None ")
        {
            return fail(format!("a later write: {line}"));
        }
    }
    nothing_lost(folder.path(), &said, 1)
}
