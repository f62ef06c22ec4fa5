//! Which buckets there are, and dropping them.

use std::sync::Arc;

use futures_util::future::try_join_all;
use kv_core::{Effect, Error, ErrorKind, Result};
use redis::{Cmd, Value};

use crate::call::bytes;
use crate::error::{Call, odd};
use crate::generation::number;
use crate::layout::{BucketKeys, Group, parse_member, slot, unescape};
use crate::script;
use crate::store::Inner;
use crate::sweep;

/// Buckets that are looked at side by side.
const BUCKETS_AT_ONCE: usize = 100;

/// Groups that are asked first whether they hold an entry: most buckets have one there.
const GROUPS_FIRST: usize = 8;

/// Entries that one step looks at, for buckets whose entries have expired.
const LOOKS_AT_ONCE: usize = 5_000;

const LISTING: &str = "listing buckets";
const DROPPING: &str = "dropping a bucket";

impl Inner {
    /// The buckets that hold an entry.
    pub(crate) async fn buckets(self: &Arc<Self>) -> Result<Vec<String>> {
        let (mut found, mut from) = (Vec::new(), b"-".to_vec());
        loop {
            let mut list = redis::cmd("ZRANGEBYLEX");
            list.arg(&*self.registry).arg(&from).arg("+").arg("LIMIT").arg(0).arg(BUCKETS_AT_ONCE);
            let Value::Array(members) = self.one(slot(&self.registry), LISTING, Call::Read, list).await? else {
                return Err(odd(LISTING, Call::Read));
            };
            let mut buckets = Vec::with_capacity(members.len());
            for member in members {
                let member = bytes(LISTING, member)?.unwrap_or_default();
                let bucket = parse_member(&member).and_then(|(bucket, generation)| {
                    Some((unescape(bucket.as_bytes())?, self.namespace.escaped(bucket), generation))
                });
                buckets.push(bucket.ok_or_else(|| {
                    let text = format!("{LISTING}: the registry of buckets holds what is no bucket's name");
                    Error::new(ErrorKind::Corrupt, Effect::None, text)
                })?);
                from = [b"(", member.as_slice()].concat();
            }
            let looks = buckets.iter().map(|(_, keys, generation)| self.holds(keys, *generation));
            let holds = try_join_all(looks).await?;
            let is_last = buckets.len() < BUCKETS_AT_ONCE;
            for ((name, ..), holds) in buckets.into_iter().zip(holds) {
                // Two generations of one name stand next to each other.
                if holds && found.last() != Some(&name) {
                    found.push(name);
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Whether a bucket's generation lives and holds an entry.
    async fn holds(self: &Arc<Self>, keys: &BucketKeys, generation: u64) -> Result<bool> {
        if self.namespace.is_spread() {
            let living = self.counted(keys, LISTING).await?;
            if living > generation {
                // Whoever dropped it may have ended before noting it.
                self.note_garbage(keys, generation).await?;
                sweep::start(self);
                return Ok(false);
            }
        }
        let groups: Vec<Group> = keys.groups().collect();
        let (first, rest) = groups.split_at_checked(GROUPS_FIRST).unwrap_or((&groups, &[]));
        for some in [first, rest] {
            let looks = some.iter().map(|group| self.group_holds(keys, *group, generation));
            if try_join_all(looks).await?.contains(&true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn group_holds(&self, keys: &BucketKeys, group: Group, generation: u64) -> Result<bool> {
        let registry = self.registry_beside();
        let fill = |command: &mut Cmd| {
            command.arg(2 + usize::from(registry.is_some())).arg(keys.generation(group));
            command.arg(keys.index(group, generation)).arg(registry);
            command.arg(generation).arg(keys.entries(group, generation)).arg(LOOKS_AT_ONCE);
            command.arg(keys.member(generation));
        };
        loop {
            match script::run_on(self, keys.slot(group), LISTING, Call::Read, &script::HOLDS, fill).await? {
                Value::Int(2) => {}
                Value::Int(holds) => return Ok(holds == 1),
                _ => return Err(odd(LISTING, Call::Read)),
            }
        }
    }

    /// The generation that a bucket's first group has counted to.
    async fn counted(&self, keys: &BucketKeys, doing: &str) -> Result<u64> {
        let mut ask = redis::cmd("GET");
        ask.arg(keys.generation(Group::FIRST));
        let found = self.one(keys.slot(Group::FIRST), doing, Call::Read, ask).await?;
        number(&found).ok_or_else(|| odd(doing, Call::Read))
    }

    /// Drops a bucket.
    pub(crate) async fn drop_bucket(self: &Arc<Self>, name: &str) -> Result<()> {
        let keys = self.namespace.bucket(name);
        let has_dropped =
            if self.namespace.is_spread() { self.drop_spread(&keys).await? } else { self.drop_at_once(&keys).await? };
        if has_dropped {
            sweep::start(self);
        }
        Ok(())
    }

    async fn drop_at_once(&self, keys: &BucketKeys) -> Result<bool> {
        let fill = |command: &mut Cmd| {
            command.arg(3).arg(keys.generation(Group::FIRST)).arg(&*self.registry).arg(self.namespace.trash());
            command.arg(&*keys.bucket).arg(keys.indices());
        };
        let slot = keys.slot(Group::FIRST);
        Ok(script::run_on(self, slot, DROPPING, Call::Write, &script::DROP, fill).await? == Value::Int(1))
    }

    /// Counts the generation up in the first group, which is the one step, and then tells the others.
    async fn drop_spread(&self, keys: &BucketKeys) -> Result<bool> {
        let known = self.known(keys);
        let mut living = self.counted(keys, DROPPING).await?.max(known.newest.get().unwrap_or(0));
        let mut ask = redis::cmd("ZSCORE");
        ask.arg(&*self.registry).arg(keys.member(living));
        if self.one(slot(&self.registry), DROPPING, Call::Read, ask).await? == Value::Nil {
            // Nothing was written to this generation.
            return Ok(false);
        }
        loop {
            let fill = |command: &mut Cmd| {
                command.arg(1).arg(keys.generation(Group::FIRST)).arg(living);
            };
            let first = keys.slot(Group::FIRST);
            let counted = script::run_on(self, first, DROPPING, Call::Write, &script::COUNT, fill).await?;
            let counted = number(&counted).ok_or_else(|| odd(DROPPING, Call::Write))?;
            // From here on it is dropped, whatever fails: another drop or the sweep tells the rest.
            known.newest.see(counted);
            self.note_garbage(keys, living).await.map_err(begun)?;
            let others = keys.groups().filter(|group| *group != Group::FIRST);
            let raised = try_join_all(others.map(|group| self.raise(keys, group, counted))).await.map_err(begun)?;
            match raised.into_iter().flatten().max() {
                // The first group had lost count, with its primary: the others were there before.
                Some(was) if was >= counted => living = was,
                _ => return Ok(true),
            }
        }
    }
}

/// The error of a drop that has begun.
fn begun(error: Error) -> Error {
    Error::new(error.kind(), Effect::Unknown, error.to_string())
}
