//! With `durability=power` a value is on disk when it is acknowledged, shown by tracing the system calls.

use std::fs;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::support::{child, has_program, lacking, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let name = "syncs::power_syncs_before_it_acknowledges";
    if !has_program("strace") {
        return vec![lacking(name, "strace")];
    }
    vec![trial(name, power), trial("syncs::process_does_not_pay_for_power", process)]
}

/// One system call on the log, by the lines of the trace in which it begins and ends.
struct Call {
    is_sync: bool,
    begin: usize,
    end: usize,
}

/// What the child said, by the lines of the trace in which it did.
type Said = Vec<(usize, String)>;

fn trace(durability: &str) -> Result<(Vec<Call>, Said), Failed> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store");
    let log = folder.path().join("trace");
    let plain = child("sync", &[]);
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "64", "-e", "trace=pwrite64,fsync,fdatasync,write,openat", "-o"])
        .arg(&log)
        .arg(plain.get_program())
        .args([store.as_os_str(), durability.as_ref()])
        .env("KV_SLED_CHILD", "sync")
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(Failed::from(format!("the traced child ended with {status}")));
    }
    let text = fs::read_to_string(&log)?;
    let (mut calls, mut lines, mut open) = (Vec::<Call>::new(), Vec::new(), std::collections::HashMap::new());
    for (at, line) in text.lines().enumerate() {
        let (thread, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        if let Some(said) = rest.strip_prefix("write(1").and_then(|rest| rest.split('"').nth(1)) {
            lines.push((at, said.trim_end_matches("\\n").to_owned()));
        }
        if rest.contains("/blobs/") {
            return Err(Failed::from(format!("a blob file: {rest}")));
        }
        let is_sync = rest.starts_with("fsync(") || rest.starts_with("fdatasync(");
        if rest.contains("/store/db>") && (is_sync || rest.starts_with("pwrite64(")) {
            if rest.ends_with("<unfinished ...>") {
                open.insert(thread.to_owned(), calls.len());
            }
            calls.push(Call { is_sync, begin: at, end: at });
        }
        if rest.contains(" resumed>")
            && let Some(call) = open.remove(thread).and_then(|call| calls.get_mut(call))
        {
            call.end = at;
        }
    }
    Ok((calls, lines))
}

fn power() -> Result<(), Failed> {
    let (calls, lines) = trace("power")?;
    let mut acknowledged = 0;
    for (at, said) in &lines {
        let Some(name) = said.strip_prefix("ACK ") else { continue };
        acknowledged += 1;
        let begin = lines.iter().find(|(_, line)| *line == format!("BEGIN {name}")).map(|(at, _)| *at);
        let begin = begin.ok_or("an acknowledgement without a beginning")?;
        let within = |call: &&Call| call.begin > begin && call.end < *at;
        let last_write = calls.iter().filter(within).filter(|call| !call.is_sync).map(|call| call.end).max();
        let last_write = last_write.ok_or_else(|| format!("{name}: nothing was written before it was acknowledged"))?;
        if !calls.iter().filter(within).any(|call| call.is_sync && call.begin > last_write) {
            return Err(Failed::from(format!("{name}: acknowledged before the log was synced")));
        }
    }
    if acknowledged != 9 {
        return Err(Failed::from(format!("{acknowledged} of 9 values were acknowledged")));
    }
    Ok(())
}

fn process() -> Result<(), Failed> {
    let (calls, lines) = trace("process")?;
    let first = lines.iter().find(|(_, line)| line.starts_with("BEGIN")).map(|(at, _)| *at).ok_or("no beginning")?;
    let last = lines.iter().rfind(|(_, line)| line.starts_with("ACK")).map(|(at, _)| *at).ok_or("no end")?;
    match calls.iter().filter(|call| call.is_sync && call.begin > first && call.end < last).count() {
        0 => Ok(()),
        syncs => Err(Failed::from(format!("{syncs} syncs"))),
    }
}
