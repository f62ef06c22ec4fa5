//! The command `keys`.

use serde_json::json;

use crate::args::Keys;
use crate::exit::{Ended, Verdict};
use crate::session::Session;

pub(super) async fn keys(args: Keys, session: &mut Session) -> Ended {
    session
        .existing(async |store, out| {
            let bucket = store.open_bucket(&args.bucket).await?;
            let mut cursor: Option<String> = None;
            loop {
                let page = bucket.keys(&args.prefix, cursor.as_deref(), None).await?;
                for key in &page.keys {
                    if out.json {
                        out.json(&json!({"key": key}))?;
                    } else if args.listing.null {
                        out.bytes(key.as_bytes())?;
                        out.bytes(b"\0")?;
                    } else {
                        out.name(key, b'\n')?;
                    }
                }
                // A reader that has seen enough, like `head`, is noticed here.
                out.flush()?;
                cursor = page.cursor;
                if cursor.is_none() {
                    return Ok(Verdict::Yes);
                }
            }
        })
        .await
}
