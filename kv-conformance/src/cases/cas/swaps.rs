//! How a swap has to end.

use kv_core::{Bucket, Cas, CasSwap};

use super::super::atomic::stored::{ensure_stored, ensure_value};
use crate::{Outcome, Stop};

/// The swap succeeds, and a reader sees its value.
pub(in crate::cases) async fn wins(bucket: &Bucket, key: &str, handle: Cas, value: &str) -> Outcome {
    match handle.swap(value).await? {
        CasSwap::Swapped => ensure_stored(bucket, key, Some(value.as_bytes())).await,
        CasSwap::Lost(fresh) => Err(Stop::failed(format_args!(
            "the swap of {key:?} to {value:?}: expected success, as nothing was written; found that it lost against {fresh:?}"
        ))),
    }
}

/// The swap loses against `winner`: nothing is written, the fresh handle holds the winner, and it works.
pub(in crate::cases) async fn loses(bucket: &Bucket, key: &str, handle: Cas, winner: Option<&[u8]>) -> Outcome {
    let fresh = match handle.swap("too late").await? {
        CasSwap::Lost(fresh) => fresh,
        CasSwap::Swapped => {
            return Err(Stop::failed(format_args!(
                "the swap of {key:?}: expected that it loses, as the key was written since; found success"
            )));
        }
    };
    ensure_value("the fresh handle's current", fresh.current(), winner)?;
    ensure_stored(bucket, key, winner).await?;
    wins(bucket, key, fresh, "by the fresh handle").await
}
