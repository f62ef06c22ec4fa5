//! Entries that other clients made, which the index does not have.

use kv_core::Result;
use redis::{Cmd, Value};

use crate::error::{Call, odd, refused};
use crate::script;
use crate::store::Bucket;

/// Keys that the server looks at in one step.
const STEP: usize = 1_000;

const DOING: &str = "looking for entries that are not listed";

impl Bucket {
    /// Adds entries to the index that other clients made; gives how many there were.
    pub(crate) async fn reindex(&self) -> Result<u64> {
        let (keys, links) = (&self.keys, &self.inner.links);
        let pattern = glob(&keys.entries);
        let mut added = 0;
        // All of the nodes that there are now.
        links.refresh().await?;
        for target in links.topology.primaries() {
            let mut cursor = b"0".to_vec();
            loop {
                let live = links.at(&target).await?;
                let mut scan = redis::cmd("SCAN");
                scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP).arg("TYPE").arg("string");
                let answer = match live.raw(DOING, Call::Read, &scan).await? {
                    Value::Array(answer) => answer,
                    Value::ServerError(error) => return Err(refused(DOING, &error)),
                    _ => return Err(odd(DOING, Call::Read)),
                };
                let [Value::BulkString(next), Value::Array(found)] = answer.as_slice() else {
                    return Err(odd(DOING, Call::Read));
                };
                let entries = found.iter().filter_map(|physical| match physical {
                    Value::BulkString(physical) => keys.split(physical),
                    _ => None,
                });
                added += self.index(entries.collect()).await?;
                if next == b"0" {
                    break;
                }
                cursor.clone_from(next);
            }
        }
        Ok(added)
    }

    /// Adds entries to their groups' indices where they are of the living generation.
    async fn index(&self, mut entries: Vec<(u64, String)>) -> Result<u64> {
        entries.sort_by_key(|(_, key)| self.keys.group(key).number());
        let mut added = 0;
        for some in entries.chunk_by(|one, other| self.keys.group(&one.1) == self.keys.group(&other.1)) {
            let Some((_, first)) = some.first() else { continue };
            let group = self.keys.group(first);
            let registry = self.inner.registry_beside();
            let fill = |generation: u64, command: &mut Cmd| {
                command.arg(2 + usize::from(registry.is_some())).arg(self.keys.generation(group));
                command.arg(self.keys.index(group, generation)).arg(registry);
                command.arg(generation).arg(self.keys.entries(group, generation)).arg(self.keys.member(generation));
                for (_, key) in some.iter().filter(|(of, _)| *of == generation) {
                    command.arg(key);
                }
            };
            match self.script(DOING, group, Call::Write, &script::INDEX, fill).await?.as_slice() {
                [Value::Int(0), Value::Int(more)] => added += u64::try_from(*more).unwrap_or(0),
                _ => return Err(odd(DOING, Call::Write)),
            }
        }
        Ok(added)
    }
}

/// A pattern for all that begins with this.
fn glob(start: &str) -> String {
    let mut pattern = String::with_capacity(start.len() + 1);
    for c in start.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    pattern
}
