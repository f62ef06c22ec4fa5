//! kill -9 of a child with 64 writers: what was acknowledged is there, and nothing that was never asked for.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kv_core::{Durability, Store};
use libtest_mimic::{Failed, Trial};

use crate::child::say;
use crate::model::{State, Writer, states};
use crate::support::{Running, block_on, child, fail, open, random, trial, within};

const WRITERS: usize = 64;

/// Calls that a writer can't make in one life: numbers of two lives never meet.
const LIFE: usize = 1_000_000;

/// Acknowledgements before the kill, so that no round is empty.
const LEAST: usize = 200;

/// After these the kill comes at a random time within this.
const SPREAD_MICROS: u64 = 150_000;

/// Programs that end without closing.
const ENDS: usize = 90;

/// One recovery in so many is itself killed, at a random time within [`RECOVERY_MICROS`] of its beginning, twice.
const RECOVERIES: usize = 5;
const RECOVERY_MICROS: u64 = 15_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("crash::process_keeps_what_was_acknowledged", || kills("process", 50)),
        trial("crash::power_keeps_what_was_acknowledged", || kills("power", 50)),
        trial("crash::a_program_that_does_not_close_ends_in_order", forgetful),
        trial("crash::relaxed_keeps_calls_whole_and_in_order", || kills("relaxed", 50)),
    ]
}

/// The child: writes a little, leaves work for the background, and ends without closing.
pub(crate) async fn leave(store: &Store) {
    let bucket = store.open_bucket("b").await.expect("a bucket opens");
    bucket.set_many((0..1_000).map(|n| (format!("k{n}"), "v"))).await.expect("a batch is set");
    store.drop_bucket("b").await.expect("a bucket is dropped");
    say("LEFT");
}

/// The child: writes until it is killed, and says what was acknowledged.
pub(crate) async fn write(store: &Store, folder: &Path, base: usize) {
    if store.declared().durability == Durability::Volatile {
        // A copy has the engine write out what it holds, without which a kill would leave nothing of this class to check.
        let (store, copy) = (store.clone(), folder.with_extension("copy"));
        tokio::spawn(async move {
            loop {
                store.checkpoint(&copy).await.expect("a copy is made");
                std::fs::remove_dir_all(&copy).expect("a copy is removed");
            }
        });
    }
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in base.. {
                    Writer(writer).make(&store, n).await.expect("a write succeeds");
                    say(&format!("{writer} {n}"));
                }
            })
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
}

fn kills(class: &str, rounds: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let mut model = vec![State::new(); WRITERS];
    let (mut acknowledged, mut under_way, mut lost, mut cut_short) = (0, 0, 0, 0);
    for round in 0..rounds {
        let base = round * LIFE;
        let counts = within(&format!("round {round}"), run_and_kill(&path, class, round))?;
        if round % RECOVERIES == RECOVERIES - 1 {
            cut_short += (0..2).map(|nth| kill_recovery(&path, round * 2 + nth)).sum::<Result<usize, _>>()?;
        }
        let found = within(&format!("round {round}"), block_on(read(&path)))?;
        for (writer, (state, found)) in model.iter_mut().zip(&found).enumerate() {
            let told = counts[writer];
            // The next call may have been applied, and not yet acknowledged.
            let least = if class == "relaxed" { 0 } else { told };
            let came = Writer(writer).came(state, base, least, told + 1, found);
            let came = within(&format!("round {round}, {told} acknowledged"), came)?;
            acknowledged += told;
            under_way += usize::from(came > told);
            lost += told.saturating_sub(came);
        }
    }
    eprintln!(
        "{class}: {rounds} kills, {acknowledged} calls acknowledged, at most {lost} of them lost, {under_way} applied that were \
         not acknowledged, {cut_short} recoveries killed"
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    if left.len() != 1 {
        return fail(format!("beside the store there is more: {left:?}"));
    }
    if rounds >= RECOVERIES && cut_short == 0 {
        return fail("no recovery was killed while it ran");
    }
    Ok(())
}

/// The engine has threads and things of the process's own; a store that is let go of while the process ends must not
/// bring it down.
fn forgetful() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let mut bad = Vec::new();
    for round in 0..ENDS {
        let class = ["process", "power", "relaxed"][round % 3];
        let output = child("leave", &[&path.to_string_lossy(), class]).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !said.ends_with("LEFT\n") {
            return fail(format!("the child said {said}"));
        }
        if !output.status.success() {
            bad.push(format!("{class}: {}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    if bad.is_empty() { Ok(()) } else { fail(format!("{} of {ENDS} ends: {}", bad.len(), bad.join("; "))) }
}

/// Gives how many calls of each writer were acknowledged.
fn run_and_kill(path: &Path, class: &str, round: usize) -> Result<Vec<usize>, Failed> {
    let base = round * LIFE;
    let mut command = child("write", &[&path.to_string_lossy(), class, &base.to_string()]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn()?);
    let mut out = BufReader::new(running.0.stdout.take().ok_or("no output")?).lines();
    let opening = out.next().ok_or("the child said nothing")??;
    if opening != "opening" {
        return fail(format!("the child said {opening}"));
    }
    let mut counts = vec![0; WRITERS];
    let mut take = |line: &str| {
        let (writer, n) = line.split_once(' ')?;
        let count = counts.get_mut(writer.parse::<usize>().ok()?)?;
        // Each writer goes on by one.
        (n.parse() == Ok(base + *count)).then(|| *count += 1)
    };
    let wait = Duration::from_micros(random(&format!("{class} kill {round}")) % SPREAD_MICROS);
    let (mut lines, mut enough) = (0, None);
    while enough.is_none_or(|at: Instant| at.elapsed() < wait) {
        let line = out.next().ok_or("the child ended by itself")??;
        take(&line).ok_or_else(|| format!("the child said {line}"))?;
        lines += 1;
        if lines == LEAST {
            enough = Some(Instant::now());
        }
    }
    running.0.kill()?;
    // What it said before it died counts too; its last line may be cut.
    let mut rest = out.map_while(Result::ok).peekable();
    while let Some(line) = rest.next() {
        if take(&line).is_none() && rest.peek().is_some() {
            return fail(format!("the child said {line}"));
        }
    }
    let status = running.0.wait()?;
    remove_copies(path)?;
    match status.signal() {
        Some(9) => Ok(counts),
        _ => fail(format!("the child was not killed, but ended with {status}")),
    }
}

/// Removes the copy that a kill left, and what was to become one.
fn remove_copies(path: &Path) -> Result<(), Failed> {
    let folder = path.parent().ok_or("a store without a folder around it")?;
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.trim_start_matches('.').starts_with("store.copy") {
            std::fs::remove_dir_all(&file)?;
        }
    }
    Ok(())
}

/// Kills a child while it opens the store; tells whether that came in time, as 0 or 1.
fn kill_recovery(path: &Path, nth: usize) -> Result<usize, Failed> {
    let mut command = child("hold", &[&path.to_string_lossy(), "process"]);
    let mut running = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let mut out = BufReader::new(running.0.stdout.take().ok_or("no output")?).lines();
    out.next().ok_or("the child said nothing")??;
    let (begun, wait) = (Instant::now(), Duration::from_micros(random(&format!("recovery {nth}")) % RECOVERY_MICROS));
    while begun.elapsed() < wait {
        std::hint::spin_loop();
    }
    running.0.kill()?;
    match out.next() {
        None => Ok(1),
        Some(Ok(line)) if line == "open" => Ok(0),
        Some(said) => fail(format!("a child that opened what a kill left said {said:?}")),
    }
}

async fn read(path: &Path) -> Result<Vec<State>, Failed> {
    let store = open(path, Durability::Process).await?;
    let found = states(&store, WRITERS).await?;
    store.close().await?;
    Ok(found)
}
