//! What can't be counted.

use kv_core::{Bucket, Effect, ErrorKind};

use super::stored::ensure_stored;
use crate::check::{ensure, ensure_eq};
use crate::{Context, Outcome, Stop};

/// Values that look like numbers to some parser, and are no counters.
const NO_COUNTERS: [&[u8]; 42] = [
    b"",
    b" ",
    b" 10",
    b"10 ",
    b"\t10",
    b"10\n",
    b"10\r\n",
    b"\n",
    b"010",
    b"00",
    b"000",
    b"-010",
    b"-00",
    b"+5",
    b"+0",
    b"-0",
    b"-",
    b"+",
    b"--1",
    b"- 1",
    b"1-",
    b"1.0",
    b"1.",
    b".5",
    b"1e3",
    b"1E3",
    b"0x10",
    b"0b1",
    b"1_000",
    b"1,000",
    b"1 000",
    b"ten",
    b"NaN",
    b"inf",
    b"10\0",
    b"\0",
    b"\0\0\0\0\0\0\0\x05",
    b"\xff",
    b"1\xff",
    b"9223372036854775808",
    b"-9223372036854775809",
    "\u{661}\u{662}".as_bytes(),
];

/// Whole numbers that no width of machine integers holds.
const FAR_OUTSIDE: [&str; 4] = [
    "18446744073709551616",
    "-18446744073709551617",
    "99999999999999999999",
    "170141183460469231731687303715884105728",
];

/// ATM-3: whatever is not canonical text within `i64` is `NotANumber`, whatever is added, and stays as it was.
pub(super) async fn other_values_are_no_counters(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    let values = NO_COUNTERS.iter().copied().chain(FAR_OUTSIDE.iter().map(|text| text.as_bytes()));
    for value in values {
        bucket.set("n", value).await?;
        for delta in [0, 1, -1, i64::MAX, i64::MIN] {
            refused(&bucket, value, delta, ErrorKind::NotANumber).await?;
        }
    }
    // A long one: the text is not read past what a counter can have.
    let digits = vec![b'1'; 100_000];
    bucket.set("n", digits.clone()).await?;
    refused(&bucket, &digits, 1, ErrorKind::NotANumber).await?;
    bucket.set("n", "1").await?;
    ensure_eq!(bucket.increment("n", 1).await?, 2, "a counter again");
    Ok(())
}

/// ATM-3: a result above `i64` is `Overflow` and the counter stays.
pub(super) async fn overflow_above(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for (start, delta) in [(i64::MAX, 1), (i64::MAX, i64::MAX), (1, i64::MAX), (i64::MAX - 5, 6), (1 << 62, 1 << 62)] {
        overflows(&bucket, start, delta).await?;
    }
    Ok(())
}

/// ATM-3: a result below `i64` is `Overflow` and the counter stays.
pub(super) async fn overflow_below(cx: &Context) -> Outcome {
    let bucket = cx.bucket("b").await?;
    for (start, delta) in [(i64::MIN, -1), (i64::MIN, i64::MIN), (-1, i64::MIN), (i64::MIN + 5, -6)] {
        overflows(&bucket, start, delta).await?;
    }
    Ok(())
}

async fn overflows(bucket: &Bucket, start: i64, delta: i64) -> Outcome {
    let text = start.to_string();
    bucket.set("n", text.clone()).await?;
    refused(bucket, text.as_bytes(), delta, ErrorKind::Overflow).await?;
    // It goes on counting from where it was.
    let back = if start > 0 { -1 } else { 1 };
    ensure_eq!(bucket.increment("n", back).await?, start + back, "{start} plus {back} after an overflow");
    Ok(())
}

async fn refused(bucket: &Bucket, value: &[u8], delta: i64, kind: ErrorKind) -> Outcome {
    let shown = value.get(..value.len().min(40)).unwrap_or(value).escape_ascii();
    match bucket.increment("n", delta).await {
        Ok(sum) => {
            return Err(Stop::failed(format_args!(
                "adding {delta} to the value \"{shown}\": expected the error {kind}, found the sum {sum}"
            )));
        }
        Err(error) => {
            ensure!(
                error.kind() == kind && error.effect() == Effect::None,
                "adding {delta} to the value \"{shown}\": expected the error {kind} with effect None, found {} with effect {:?}",
                error.kind(),
                error.effect()
            );
        }
    }
    ensure_stored(bucket, "n", Some(value)).await
}
