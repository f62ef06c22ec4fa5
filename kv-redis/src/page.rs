//! Listings: the index of one group after another, by range.

use futures_util::future::try_join_all;
use kv_core::local::cursor;
use kv_core::{Effect, Error, ErrorKind, Page, PageRequest, Result};
use redis::{Cmd, Value};

use crate::call::bytes;
use crate::error::{Call, odd};
use crate::layout::{Group, after};
use crate::script;
use crate::store::Bucket;

/// Members of an index that one page looks at: what is gone makes a page shorter, not longer.
const PAGE_LOOKS: usize = 20_000;

const DOING: &str = "listing keys";

/// What one group has for a page.
struct Part {
    keys: Vec<String>,
    /// The last key that was looked at.
    last: String,
    /// Whether there may be more behind it.
    has_more: bool,
}

impl Bucket {
    pub(crate) async fn page(&self, request: PageRequest<'_>) -> Result<Page> {
        let PageRequest { prefix, cursor, limit, budget } = request;
        let (first, behind) = match cursor {
            None => (Group::FIRST, None),
            Some(cursor) => {
                let (group, last) = self.position(cursor)?;
                (group, (last.as_str() >= prefix).then_some(last))
            }
        };
        let mut groups: Vec<Group> =
            self.keys.groups().filter(|group| group.number() >= first.number()).rev().collect();
        let start = [b"[", prefix.as_bytes()].concat();
        let from = behind.map_or_else(|| start.clone(), |last| [b"(", last.as_bytes()].concat());
        let (mut keys, mut used) = (Vec::new(), 0);
        // The last key of the page, and the group that it is in.
        let mut place = (first, String::new());
        // One group, and then as many at once as may be needed.
        let (mut asked, mut wide) = (0, 1);
        while !groups.is_empty() {
            let some = groups.split_off(groups.len().saturating_sub(wide));
            let (want, left) = (limit - keys.len(), budget.saturating_sub(used));
            let looks = some.iter().rev().map(|group| {
                let from = if *group == first { from.clone() } else { start.clone() };
                async move { Ok::<_, Error>((*group, self.part(*group, &from, prefix, want, left).await?)) }
            });
            for (group, part) in try_join_all(looks).await? {
                for key in part.keys {
                    if keys.len() == limit || (used + key.len() > budget && !keys.is_empty()) {
                        return Ok(Page { cursor: Some(self.cursor(place.0, &place.1)), keys });
                    }
                    used += key.len();
                    place = (group, key.clone());
                    keys.push(key);
                }
                if part.has_more {
                    return Ok(Page { cursor: Some(self.cursor(group, &part.last)), keys });
                }
            }
            asked += some.len();
            let room = limit - keys.len();
            if room == 0 && !groups.is_empty() {
                return Ok(Page { cursor: Some(self.cursor(place.0, &place.1)), keys });
            }
            // Not many more than before: each may have a whole page.
            let needed = if keys.is_empty() { usize::MAX } else { room * asked / keys.len() };
            wide = needed.clamp(1, 4 * wide);
        }
        Ok(Page { keys, cursor: None })
    }

    async fn part(&self, group: Group, from: &[u8], prefix: &str, limit: usize, budget: usize) -> Result<Part> {
        let to = after(prefix);
        let page = |generation: u64, command: &mut Cmd| {
            command.arg(2).arg(self.keys.generation(group)).arg(self.keys.index(group, generation));
            command.arg(generation).arg(self.keys.entries(group, generation)).arg(from).arg(&to);
            command.arg(limit).arg(budget).arg(PAGE_LOOKS);
        };
        let answer = self.script(DOING, group, Call::Read, &script::PAGE, page).await?;
        let mut answer = answer.into_iter();
        let (Some(Value::Int(0)), Some(Value::Int(more)), Some(last)) = (answer.next(), answer.next(), answer.next())
        else {
            return Err(odd(DOING, Call::Read));
        };
        let keys = answer.map(text).collect::<Result<Vec<String>>>()?;
        Ok(Part { keys, last: text(last)?, has_more: more == 1 })
    }

    /// The cursor behind a key of a group.
    fn cursor(&self, group: Group, last: &str) -> String {
        if self.inner.namespace.is_spread() {
            cursor::encode("redis-cluster", &self.name, &format!("{}:{last}", group.number()))
        } else {
            cursor::encode("redis", &self.name, last)
        }
    }

    fn position(&self, cursor: &str) -> Result<(Group, String)> {
        if !self.inner.namespace.is_spread() {
            return Ok((Group::FIRST, cursor::decode("redis", &self.name, cursor)?));
        }
        let text = cursor::decode("redis-cluster", &self.name, cursor)?;
        let parts = text.split_once(':').and_then(|(group, last)| Some((group.parse().ok()?, last.to_owned())));
        let (number, last): (usize, String) =
            parts.ok_or_else(|| Error::invalid("the cursor is not one of this bucket"))?;
        let group = self.keys.groups().nth(number);
        Ok((group.ok_or_else(|| Error::invalid("the cursor is not one of this bucket"))?, last))
    }
}

fn text(value: Value) -> Result<String> {
    let bytes = bytes(DOING, value)?.ok_or_else(|| odd(DOING, Call::Read))?;
    String::from_utf8(bytes).ok().ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, Effect::None, format!("{DOING}: the index holds a key that is not UTF-8"))
    })
}
