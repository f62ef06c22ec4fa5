//! The report for people.

use std::fmt::Write;

use super::{LeftOut, Promised, Report, Row};
use crate::blocking::Blocked;
use crate::poll::{Polls, Timer};
use crate::scale::{Buckets, Listing, Opening};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = write(&mut text, report);
    text
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(out, "# Benchmarks\n")?;
    writeln!(
        out,
        "Written by `cargo xtask bench` on {}{}{} threads, {}, {}.",
        report.generated,
        if machine.description.is_empty() { ": " } else { ", on a " },
        if machine.description.is_empty() {
            machine.threads.to_string()
        } else {
            format!("{}: {}", machine.description, machine.threads)
        },
        machine.system,
        machine.architecture,
    )?;
    if !report.with.is_empty() {
        writeln!(out, "\nOur stores were opened with {}.", report.with.join(" and "))?;
    }
    for LeftOut { engine, why } in &report.left_out {
        writeln!(out, "\n**{engine} is left out:** {why}.")?;
    }
    if report.quick {
        writeln!(out, "\n**A smoke run: its figures are worth nothing.**")?;
    }
    writeln!(out, "\n`kv-bench/README.md` says what is compared with what and how to read it.")?;
    if !report.rows.is_empty() || !report.promises.is_empty() {
        writeln!(out, "\n![Ratios](report.svg)")?;
    }
    if !report.rows.is_empty() {
        writeln!(out, "\n## Beside the raw driver\n")?;
        rows(out, &report.rows)?;
    }
    if !report.promises.is_empty() {
        writeln!(out, "\n## Further promises\n")?;
        promises(out, &report.promises)?;
    }
    if !report.polls.is_empty() {
        writeln!(out, "\n## Time of one poll, and a timer's delay\n")?;
        polls(out, &report.polls)?;
    }
    if !report.blocked.is_empty() {
        writeln!(out, "\n## Time of one poll where the engine blocks\n")?;
        blocked(out, &report.blocked)?;
    }
    if !report.listings.is_empty() {
        writeln!(out, "\n## Long listings\n")?;
        listings(out, &report.listings)?;
    }
    if !report.buckets.is_empty() {
        writeln!(out, "\n## Many buckets\n")?;
        buckets(out, &report.buckets)?;
    }
    Ok(())
}

fn rows(out: &mut String, rows: &[Row]) -> std::fmt::Result {
    writeln!(
        out,
        "| engine | durability | workload | callers / raw | ours, µs a call | raw, µs a call | ratio | lowest to highest | may be | p50 / p99 / p99.9, µs | raw p50 / p99 / p99.9, µs | allocations / raw |"
    )?;
    writeln!(out, "|---|---|---|---|---:|---:|---:|---|---|---|---|---|")?;
    for row in rows {
        let c = row.compared;
        let may_be = match (row.limit, row.met) {
            (Some(limit), Some(true)) => format!("{limit:.3}"),
            (Some(limit), _) => format!("{limit:.3} **missed**"),
            (None, _) => String::new(),
        };
        let [p50, p99, p999] = row.percentiles();
        writeln!(
            out,
            "| {} | {} | {} | {} / {} | {} | {} | **{:.3}** | {:.3} to {:.3} | {may_be} | {} / {} / {} | {} / {} / {} | {} / {} |",
            row.engine,
            row.durability,
            row.workload,
            row.callers,
            row.raw_callers,
            micros(c.provider_ns),
            micros(c.raw_ns),
            c.ratio,
            c.ratio_min,
            c.ratio_max,
            micros(p50.0 as f64),
            micros(p99.0 as f64),
            micros(p999.0 as f64),
            micros(p50.1 as f64),
            micros(p99.1 as f64),
            micros(p999.1 as f64),
            count(row.allocs),
            count(row.raw_allocs),
        )?;
    }
    let Some(Row { records, value_bytes, rounds, stores, .. }) = rows.first() else { return Ok(()) };
    writeln!(
        out,
        "\n{records} records with values of {value_bytes} bytes; each ratio is the median of {rounds} pairs of rounds, \
         on {stores} pairs of stores."
    )
}

fn promises(out: &mut String, all: &[Promised]) -> std::fmt::Result {
    writeln!(
        out,
        "| engine | durability | promise | what | µs | beside what | µs | ratio | lowest to highest | may be | |"
    )?;
    writeln!(out, "|---|---|---|---|---:|---|---:|---:|---|---:|---|")?;
    for promised in all {
        let Promised { engine, durability, promise, measured, beside, ratio, ratio_min, ratio_max, limit, .. } =
            promised;
        writeln!(
            out,
            "| {engine} | {durability} | {promise} | {measured} | {} | {beside} | {} | **{ratio:.3}** | {ratio_min:.3} to \
             {ratio_max:.3} | {limit:.3} | {} |",
            micros(promised.measured_ns),
            micros(promised.beside_ns),
            promised.verdict(),
        )?;
    }
    for Promised { engine, durability, promise, note, .. } in all {
        if let Some(note) = note {
            writeln!(out, "\n{engine}/{durability}/{promise}: {note}.")?;
        }
    }
    Ok(())
}

fn polls(out: &mut String, all: &[Polls]) -> std::fmt::Result {
    writeln!(out, "| writers | polls | p50, µs | p99, µs | p99.9, µs | longest, µs | p99.9 at most 1 ms |")?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---|")?;
    for polls in all {
        let Polls { poll, met, .. } = polls;
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            polls.name(),
            polls.polls,
            micros(poll.p50_ns as f64),
            micros(poll.p99_ns as f64),
            micros(poll.p999_ns as f64),
            micros(poll.max_ns as f64),
            if *met { "kept" } else { "**missed**" },
        )?;
    }
    writeln!(
        out,
        "\n| writers | who | timer of 1 ms late by p50, µs | p99, µs | p99.9, µs | longest, µs | writes a second |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    for polls in all {
        for (who, timer) in [
            ("ours", Some(&polls.timer)),
            ("raw, in the tasks", Some(&polls.timer_raw_inline)),
            ("raw, in the blocking pool", polls.timer_raw_blocking.as_ref()),
        ] {
            let Some(Timer { late, writes_per_second }) = timer else { continue };
            writeln!(
                out,
                "| {} | {who} | {} | {} | {} | {} | {writes_per_second} |",
                polls.name(),
                micros(late.p50_ns as f64),
                micros(late.p99_ns as f64),
                micros(late.p999_ns as f64),
                micros(late.max_ns as f64),
            )?;
        }
    }
    Ok(())
}

fn blocked(out: &mut String, all: &[Blocked]) -> std::fmt::Result {
    writeln!(
        out,
        "| callers | io | polls | p50, µs | p99, µs | p99.9, µs | longest, µs | p99.9 at most 1 ms | p99.9 by the clock, µs | meanwhile |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---|---:|---|")?;
    for blocked in all {
        let Blocked { io, polls, held, clock, note, .. } = blocked;
        writeln!(
            out,
            "| {} | {io} | {polls} | {} | {} | {} | {} | {} | {} | {note} |",
            blocked.name(),
            micros(held.p50_ns as f64),
            micros(held.p99_ns as f64),
            micros(held.p999_ns as f64),
            micros(held.max_ns as f64),
            blocked.verdict(),
            micros(clock.p999_ns as f64),
        )?;
    }
    Ok(())
}

fn listings(out: &mut String, listings: &[Listing]) -> std::fmt::Result {
    writeln!(
        out,
        "| engine | durability | keys | who | ns a key | ns a key of a tenth | resident before, MiB | grew at most, MiB | grew, MiB |"
    )?;
    writeln!(out, "|---|---|---:|---|---:|---:|---:|---:|---:|")?;
    for listing in listings {
        for (who, listed) in [("ours", &listing.ours), ("raw", &listing.raw)] {
            writeln!(
                out,
                "| {} | {} | {} | {who} | {:.0} | {:.0} | {} | {} | {} |",
                listing.engine,
                listing.durability,
                listing.keys,
                listed.ns_per_key,
                listed.ns_per_key_of_tenth,
                mebibytes(listed.resident_before),
                mebibytes(listed.grew_most),
                mebibytes(listed.grew),
            )?;
        }
    }
    Ok(())
}

fn buckets(out: &mut String, all: &[Buckets]) -> std::fmt::Result {
    writeln!(
        out,
        "| engine | durability | buckets | open and first set: 10th, µs | last, µs | listing all, ns a bucket | open the \
         store and each bucket again, ms | may be | resident bytes a bucket |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---|---:|---|---:|")?;
    for buckets in all {
        let listings: Vec<String> = buckets
            .listings
            .iter()
            .map(|listing| format!("{:.0} of {}", listing.ns_per_bucket, listing.buckets))
            .collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            buckets.engine,
            buckets.durability,
            buckets.buckets,
            micros(buckets.tenth_ns),
            micros(buckets.last_ns),
            listings.join(", "),
            opening(buckets.opening.as_ref()),
        )?;
    }
    Ok(())
}

/// Three cells: the time, what it may be, and the memory.
fn opening(opening: Option<&Opening>) -> String {
    let Some(Opening { ns, limit_ns, met, resident_per_bucket }) = opening else { return "| |".to_owned() };
    let limit = match (limit_ns, met) {
        (Some(limit), Some(true)) => format!("{:.0}: kept", limit / 1e6),
        (Some(limit), _) => format!("{:.0}: **missed**", limit / 1e6),
        (None, _) => String::new(),
    };
    let resident = resident_per_bucket.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes:.0}"));
    format!("{:.1} | {limit} | {resident}", ns / 1e6)
}

/// Nanoseconds as microseconds, in three significant digits or whole.
fn micros(ns: f64) -> String {
    let micros = ns / 1_000.0;
    if micros < 10.0 {
        format!("{micros:.2}")
    } else if micros < 100.0 {
        format!("{micros:.1}")
    } else {
        format!("{micros:.0}")
    }
}

fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)))
}

fn count(allocations: Option<f64>) -> String {
    allocations.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.1}"))
}
