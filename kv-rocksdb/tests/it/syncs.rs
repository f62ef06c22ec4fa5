//! With `durability=power` a value is on disk when it is acknowledged, shown by tracing the system calls.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::child::GROUP;
use crate::support::{CHILD, Test, fail, has_program, lacking, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 5] = [
        ("syncs::power_serves_no_writer_with_an_earlier_sync", many),
        ("syncs::power_syncs_before_it_acknowledges", power),
        ("syncs::power_serves_many_writers_with_one_sync", group),
        ("syncs::process_hands_over_and_does_not_sync", process),
        ("syncs::relaxed_does_not_sync", relaxed),
    ];
    let has_strace = has_program("strace");
    tests.into_iter().map(|(name, test)| if has_strace { trial(name, test) } else { lacking(name, "strace") }).collect()
}

/// One system call on a file of the engine's log or on the store's folder, by the lines of the trace in which it begins
/// and ends.
struct Call {
    what: What,
    /// The file's name; empty for the folder.
    file: String,
    begin: usize,
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Make,
    Write,
    Sync,
}

struct Trace {
    calls: Vec<Call>,
    /// What the child said, by the lines of the trace in which it did.
    said: Vec<(usize, String)>,
}

/// A sync takes this much longer than it would, in microseconds: on a disk that is fast, or pretends to be, writers
/// hardly meet.
const SLOW_MICROS: u32 = 10_000;

impl Trace {
    fn of(role: &str, class: &str) -> Result<Self, Failed> {
        Self::with(role, class, &[])
    }

    fn with(role: &str, class: &str, more: &[&str]) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let (store, log) = (folder.path().join("store"), folder.path().join("trace"));
        let status = Command::new("strace")
            .args(["-f", "-y", "-s", "64", "-e", "trace=/^p?writev?(64)?$,/sync,openat"])
            .args(more)
            .arg("-o")
            .arg(&log)
            .arg(std::env::current_exe()?)
            .args([store.as_os_str(), class.as_ref()])
            .env(CHILD, role)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return fail(format!("the traced child ended with {status}"));
        }
        Self::read(&fs::read_to_string(&log)?)
    }

    fn read(text: &str) -> Result<Self, Failed> {
        let (mut calls, mut said, mut open) = (Vec::<Call>::new(), Vec::new(), HashMap::new());
        for (at, line) in text.lines().enumerate() {
            let (thread, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim_start();
            if let Some(text) = rest.strip_prefix("write(1<").and_then(|rest| rest.split('"').nth(1)) {
                said.push((at, text.trim_end_matches("\\n").to_owned()));
                continue;
            }
            if rest.contains(" resumed>") {
                if let Some(call) = open.remove(thread).and_then(|call: usize| calls.get_mut(call)) {
                    call.end = at;
                }
                continue;
            }
            if let Some((what, file)) = call(rest) {
                if rest.ends_with("<unfinished ...>") {
                    open.insert(thread.to_owned(), calls.len());
                }
                calls.push(Call { what, file, begin: at, end: at });
            }
        }
        if !open.is_empty() {
            return fail("calls that never ended");
        }
        Ok(Self { calls, said })
    }

    /// The line in which the child said so.
    fn line(&self, text: &str) -> Result<usize, Failed> {
        let line = self.said.iter().find(|(_, said)| said == text).map(|(at, _)| *at);
        line.ok_or_else(|| format!("the child did not say {text}").into())
    }

    /// What was acknowledged, with the lines of its beginning and its end.
    fn acknowledged(&self) -> Result<Vec<(&str, usize, usize)>, Failed> {
        let acknowledged = self.said.iter().filter_map(|(at, said)| Some((*at, said.strip_prefix("ACK ")?)));
        acknowledged.map(|(at, name)| Ok((name, self.line(&format!("BEGIN {name}"))?, at))).collect()
    }

    /// Calls on the log that lie between two lines.
    fn between(&self, what: What, begin: usize, end: usize) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(move |call| call.what == what && call.begin > begin && call.end < end && !call.file.is_empty())
    }

    /// The lines of the first beginning and of the last end.
    fn span(&self) -> Result<(usize, usize), Failed> {
        let acknowledged = self.acknowledged()?;
        let first = acknowledged.iter().map(|(_, begin, _)| *begin).min().ok_or("nothing was acknowledged")?;
        let last = acknowledged.iter().map(|(_, _, end)| *end).max().ok_or("nothing was acknowledged")?;
        Ok((first, last))
    }
}

/// What a line of the trace does to the engine's log or to the store's folder.
fn call(rest: &str) -> Option<(What, String)> {
    let name = rest.split_once('(')?.0;
    let made = rest.contains("O_CREAT").then(|| rest.split('"').nth(1)).flatten();
    // The first argument, with the path that it stands for.
    let path = match name {
        "openat" => made?,
        _ => rest.split_once('<')?.1.split_once('>')?.0,
    };
    let file = path.split_once("/store").map(|(_, rest)| rest.trim_start_matches('/'))?;
    let what = match name {
        "openat" => What::Make,
        "fsync" | "fdatasync" => What::Sync,
        // `sync_file_range` is no barrier.
        "write" | "pwrite64" | "writev" | "pwritev" => What::Write,
        _ => return None,
    };
    (file.is_empty() || file.ends_with(".log")).then(|| (what, file.to_owned()))
}

fn power() -> Result<(), Failed> {
    let trace = Trace::of("sync", "power")?;
    let acknowledged = trace.acknowledged()?;
    for (name, begin, end) in &acknowledged {
        let mut writes = trace.between(What::Write, *begin, *end).map(|call| call.end);
        // What tidies up after a drop writes as well; the first write is the drop itself.
        let its_own = if *name == "drop" { writes.next() } else { writes.max() };
        let its_own = its_own.ok_or_else(|| format!("{name}: nothing was written before it was acknowledged"))?;
        if !trace.between(What::Sync, *begin, *end).any(|call| call.begin > its_own) {
            return fail(format!("{name}: acknowledged before the log was synced"));
        }
    }
    if acknowledged.len() != 19 {
        return fail(format!("{} of 19 writes were acknowledged", acknowledged.len()));
    }
    new_logs_are_found_again(&trace)
}

/// A new file is in its folder only once the folder is synced.
fn new_logs_are_found_again(trace: &Trace) -> Result<(), Failed> {
    let acknowledged = trace.acknowledged()?;
    let mut checked = 0;
    for made in trace.calls.iter().filter(|call| call.what == What::Make && !call.file.is_empty()) {
        let of = |what: What, file: &str| {
            let found = trace.calls.iter().filter(move |call| call.what == what && call.begin > made.end);
            let file = file.to_owned();
            found.filter(move |call| call.file == file).map(|call| (call.begin, call.end)).min()
        };
        let Some((_, written)) = of(What::Write, &made.file) else { continue };
        let Some((name, _, end)) = acknowledged.iter().find(|(_, begin, _)| *begin > written) else { continue };
        if of(What::Sync, "").is_none_or(|(_, synced)| synced > *end) {
            return fail(format!("{name} was acknowledged in {}, whose folder was not synced", made.file));
        }
        checked += 1;
    }
    if checked == 0 {
        return fail("no log was made and written to");
    }
    Ok(())
}

/// No writer of many is served by a sync that began before its write.
fn many() -> Result<(), Failed> {
    let trace = Trace::of("group", "power")?;
    let acknowledged = trace.acknowledged()?;
    let writes = GROUP.0 * GROUP.1;
    if acknowledged.len() != writes + 1 {
        return fail(format!("{} of {writes} writes were acknowledged", acknowledged.len() - 1));
    }
    for (name, begin, end) in &acknowledged {
        // Of the writes since it began one is its own; a sync after the first of them is the least that it needs.
        let first = trace.between(What::Write, *begin, *end).map(|call| call.begin).min();
        let first = first.ok_or_else(|| format!("{name}: nothing was written before it was acknowledged"))?;
        if !trace.between(What::Sync, *begin, *end).any(|call| call.begin > first) {
            return fail(format!("{name}: acknowledged without a sync of what was written since it began"));
        }
    }
    Ok(())
}

fn group() -> Result<(), Failed> {
    let slow = format!("inject=fsync,fdatasync:delay_exit={SLOW_MICROS}");
    let trace = Trace::with("quiet", "power", &["-e", &slow])?;
    let (first, last) = trace.span()?;
    let writes = GROUP.0 * GROUP.1;
    let syncs = trace.between(What::Sync, first, last).count();
    eprintln!("{writes} writes of {} writers shared {syncs} syncs", GROUP.0);
    // Each writer waits for one sync a write, so there are at least as many; twice that is what comes just too late.
    let (least, most) = (GROUP.1, GROUP.1 * 4);
    if (least..=most).contains(&syncs) { Ok(()) } else { fail(format!("{syncs} syncs, not {least} to {most}")) }
}

fn process() -> Result<(), Failed> {
    let trace = Trace::of("sync", "process")?;
    for (name, begin, end) in trace.acknowledged()? {
        if trace.between(What::Write, begin, end).next().is_none() {
            return fail(format!("{name}: acknowledged before it was handed to the system"));
        }
    }
    no_syncs(&trace)
}

fn relaxed() -> Result<(), Failed> {
    no_syncs(&Trace::of("sync", "relaxed")?)
}

fn no_syncs(trace: &Trace) -> Result<(), Failed> {
    let (first, last) = trace.span()?;
    match trace.between(What::Sync, first, last).count() {
        0 => Ok(()),
        syncs => fail(format!("{syncs} syncs")),
    }
}
