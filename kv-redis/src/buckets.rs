//! Which buckets there are, and dropping them.

use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
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

/// The same in a cluster, where each may take as many questions as it has groups.
const SPREAD_AT_ONCE: usize = 8;

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
            let is_last = buckets.len() < BUCKETS_AT_ONCE;
            let mut holds = Vec::with_capacity(buckets.len());
            for some in buckets.chunks(if self.namespace.is_spread() { SPREAD_AT_ONCE } else { BUCKETS_AT_ONCE }) {
                holds.extend(try_join_all(some.iter().map(|(_, keys, of)| self.holds(keys, *of))).await?);
            }
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
            let living = self.noted(keys, Group::FIRST).await?;
            if living > generation {
                // Whoever dropped it may have ended before noting it.
                self.note_garbage(keys, generation).await?;
                sweep::start(self);
                return Ok(false);
            }
        }
        for some in self.places(keys, generation).await? {
            let looks = some.iter().map(|group| self.group_holds(keys, *group, generation));
            if try_join_all(looks).await?.contains(&true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The groups of a bucket, those first that most likely hold something.
    async fn places(&self, keys: &BucketKeys, generation: u64) -> Result<Vec<Vec<Group>>> {
        let mut groups: Vec<Group> = keys.groups().collect();
        if !self.namespace.is_spread() {
            return Ok(vec![groups]);
        }
        let hints = self.namespace.hints();
        let mut ask = redis::cmd("HGET");
        ask.arg(&hints).arg(keys.member(generation));
        let hint = number(&self.one(slot(&hints), LISTING, Call::Read, ask).await?);
        let first = hint.and_then(|hint| groups.get(usize::try_from(hint).ok()?)).copied();
        let rest = groups.split_off(GROUPS_FIRST.min(groups.len()));
        Ok(vec![first.into_iter().collect(), groups, rest])
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

    /// The generation that a group has noted.
    async fn noted(&self, keys: &BucketKeys, group: Group) -> Result<u64> {
        const DOING: &str = "looking the bucket up";
        let mut ask = redis::cmd("GET");
        ask.arg(keys.generation(group));
        let found = self.one(keys.slot(group), DOING, Call::Read, ask).await?;
        number(&found).ok_or_else(|| odd(DOING, Call::Read))
    }

    /// Drops a bucket.
    pub(crate) async fn drop_bucket(self: &Arc<Self>, name: &str) -> Result<()> {
        let keys = self.namespace.bucket(name);
        if self.namespace.is_spread() {
            let inner = Arc::clone(self);
            return self.background.finish(DROPPING, async move { inner.drop_spread(&keys).await }).await;
        }
        if self.drop_at_once(&keys).await? {
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
    async fn drop_spread(self: &Arc<Self>, keys: &BucketKeys) -> Result<()> {
        let known = self.known(keys);
        // The first group may have lost count, with its primary: the registry is somewhere else.
        let registered = self.registered(keys).await?;
        let counted = self.noted(keys, Group::FIRST).await?;
        let mut living = known.newest.see(registered.iter().copied().max().unwrap_or(0).max(counted));
        if !registered.contains(&living) {
            // There was nothing yet, or the registry has lost it. Then the groups know.
            let notes = try_join_all(keys.groups().map(|group| self.noted(keys, group))).await?;
            living = known.newest.see(notes.into_iter().max().unwrap_or(0));
        }
        let has_entries = self.has_indices(keys, living).await?;
        let (mut to, mut failed) = (living, None);
        if has_entries {
            let fill = |command: &mut Cmd| {
                command.arg(1).arg(keys.generation(Group::FIRST)).arg(living);
            };
            let first = keys.slot(Group::FIRST);
            to = match script::run_on(self, first, DROPPING, Call::Write, &script::COUNT, fill).await {
                Ok(counted) => number(&counted).ok_or_else(|| odd(DROPPING, Call::Write))?,
                Err(error) if error.effect() == Effect::Unknown => {
                    // It may have been counted. Then all have to hear of it.
                    failed = Some(error);
                    self.noted(keys, Group::FIRST).await.map_err(begun)?
                }
                Err(error) => return Err(error),
            };
            known.newest.see(to);
        }
        // Older ones are of somebody who dropped them and may not have told all, as is one counted between ours and the new one.
        let unfinished = registered.into_iter().filter(|generation| *generation < living);
        let counted = (to > living).then_some(living).into_iter().chain((to > living + 1).then(|| to - 1));
        let old = unfinished.chain(counted).collect::<Vec<_>>();
        for generation in &old {
            self.note_garbage(keys, *generation).await.map_err(begun)?;
        }
        for generation in &old {
            // All hear of it, and small ones are empty then. Also if one fails: the sweep goes on.
            let steps = keys.groups().map(|group| sweep::step(self, keys, group, to, *generation));
            let steps = join_all(steps).await.into_iter().collect::<Result<Vec<bool>>>();
            if steps.as_ref().is_ok_and(|steps| !steps.contains(&true)) {
                // Space, not truth.
                drop(sweep::forget(self, keys, *generation).await);
            } else {
                sweep::start(self);
            }
            steps.map_err(begun)?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether any group has an index of a generation.
    async fn has_indices(&self, keys: &BucketKeys, generation: u64) -> Result<bool> {
        for some in self.places(keys, generation).await? {
            let looks = some.iter().map(|group| {
                let mut ask = redis::cmd("EXISTS");
                ask.arg(keys.index(*group, generation));
                self.one(keys.slot(*group), DROPPING, Call::Read, ask)
            });
            if try_join_all(looks).await?.contains(&Value::Int(1)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The generations of a bucket of which the registry knows.
    async fn registered(&self, keys: &BucketKeys) -> Result<Vec<u64>> {
        let mut list = redis::cmd("ZRANGEBYLEX");
        // A semicolon comes right behind a colon.
        list.arg(&*self.registry).arg(format!("[{}:", keys.bucket)).arg(format!("({};", keys.bucket));
        let Value::Array(members) = self.one(slot(&self.registry), DROPPING, Call::Read, list).await? else {
            return Err(odd(DROPPING, Call::Read));
        };
        let generation = |member: &Value| match member {
            Value::BulkString(member) => parse_member(member).map(|(_, generation)| generation),
            _ => None,
        };
        Ok(members.iter().filter_map(generation).collect())
    }
}

/// The error of a drop that has begun.
fn begun(error: Error) -> Error {
    Error::new(error.kind(), Effect::Unknown, error.to_string())
}
