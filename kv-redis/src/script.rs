//! What has to be one step on the server and is more than one command. Each script begins by comparing the bucket's
//! generation with the one that its keys are of, and does nothing where it is another.

use std::sync::{Arc, LazyLock};

use kv_core::{Effect, Error, Result};
use redis::{Cmd, ServerError, Value};

use crate::connection::Live;
use crate::error::{Call, odd, refused};
use crate::links::{Ask, Links, Sent};
use crate::redirect::{Chase, Redirect};
use crate::store::Inner;

/// What scripts answer, as the first element, if the generation is another: then nothing ran.
pub(crate) const STALE: i64 = -1;

/// A script, and the hash by which a server that has seen it knows it.
pub(crate) struct Script {
    pub(crate) code: &'static str,
    hash: String,
    /// Whether it may go where a slot is being moved to: not if it looks at keys that it does not name, for what is not
    /// there yet would be gone to it.
    ask: Ask,
}

macro_rules! script {
    ($name:ident, $ask:ident, $text:expr) => {
        pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            let hash = redis::Script::new($text).get_hash().to_owned();
            Script { code: $text, hash, ask: Ask::$ask }
        });
    };
}

// Reads do nothing where the generation is a later one: in a cluster a group may not have heard of a drop yet.

// Keys: generation, entries. Arguments: number, budget. Answers 0 and the values, or 1 over the budget.
script!(
    READ_MANY,
    Follow,
    r"if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return {-1} end
local left, out = tonumber(ARGV[2]), {0}
for at = 2, #KEYS do
  local value = redis.call('GET', KEYS[at])
  if value then
    left = left - #value
    if left < 0 then return {1} end
  end
  out[at] = value
end
return out"
);

// Keys: generation, index. Arguments: number, what entries begin with, least and highest key, most keys, most bytes, most
// looks. Answers 0, whether the index goes on, the last key looked at, and the keys. What is gone is taken out of the
// index.
script!(
    PAGE,
    Wait,
    r"if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return {-1} end
local limit, bytes, looks = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local out, gone, used, more = {0, 0, ''}, {}, 0, 0
local from = ARGV[3]
while true do
  local want = math.min(limit - (#out - 3) + 1, 1000)
  local keys = redis.call('ZRANGEBYLEX', KEYS[2], from, ARGV[4], 'LIMIT', 0, want)
  local full = false
  for _, key in ipairs(keys) do
    if #out - 3 >= limit or looks <= 0 or (used + #key > bytes and #out > 3) then
      full = true
      break
    end
    looks = looks - 1
    out[3] = key
    if redis.call('EXISTS', ARGV[2] .. key) == 1 then
      out[#out + 1] = key
      used = used + #key
    else
      gone[#gone + 1] = key
    end
  end
  if full then more = 1 break end
  if #keys < want then break end
  from = '(' .. out[3]
end
for at = 1, #gone, 1000 do
  redis.pcall('ZREM', KEYS[2], unpack(gone, at, math.min(at + 999, #gone)))
end
out[2] = more
return out"
);

// Keys: generation, index, and the registry where it can be changed in the same step. Arguments: number, what entries begin
// with, most looks, the registry's member. Answers 1 if there is an entry, 0 if there is none, 2 if more looks are needed.
// What is gone is taken out of the index, and a generation that holds nothing out of the registry.
script!(
    HOLDS,
    Wait,
    r"local looks = tonumber(ARGV[3])
if tonumber(redis.call('GET', KEYS[1]) or '0') <= tonumber(ARGV[1]) then
  while true do
    local keys, gone = redis.call('ZRANGE', KEYS[2], 0, 99), {}
    if #keys == 0 then break end
    for _, key in ipairs(keys) do
      if redis.call('EXISTS', ARGV[2] .. key) == 1 then return 1 end
      gone[#gone + 1] = key
    end
    redis.call('ZREM', KEYS[2], unpack(gone))
    looks = looks - #gone
    if looks <= 0 then return 2 end
  end
end
if KEYS[3] then redis.call('ZREM', KEYS[3], ARGV[4]) end
return 0"
);

// Keys: generation, registry, trash. Arguments: bucket, what indices begin with. Answers whether anything was dropped.
script!(
    DROP,
    Follow,
    r"local number = redis.call('GET', KEYS[1]) or '0'
if redis.call('EXISTS', ARGV[2] .. number) == 0 then return 0 end
local member = ARGV[1] .. ':' .. number
redis.call('SADD', KEYS[3], member)
redis.call('ZREM', KEYS[2], member)
redis.call('INCR', KEYS[1])
return 1"
);

// Keys: generation. Arguments: number. Counts the generation up, beyond that number too; answers the new one.
script!(
    COUNT,
    Follow,
    r"local number = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])) + 1
redis.call('SET', KEYS[1], string.format('%.0f', number))
return number"
);

// Keys: generation. Arguments: number. Raises the generation to that number; answers what it was, -1 where it was not noted.
script!(
    RAISE,
    Follow,
    r"local was = redis.call('GET', KEYS[1])
if not was or tonumber(was) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return tonumber(was or '-1')"
);

// Keys: generation, index. Arguments: the number that lives, the dropped number, what its entries begin with, most entries.
// Answers whether there may be more, or -1 if it was not dropped. Tells the group of the drop where it has not heard.
script!(
    SWEEP,
    Wait,
    r"local number = tonumber(redis.call('GET', KEYS[1]) or '0')
if number <= tonumber(ARGV[2]) then
  if tonumber(ARGV[1]) <= tonumber(ARGV[2]) then return -1 end
  redis.call('SET', KEYS[1], ARGV[1])
end
local keys = redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[4]) - 1)
if #keys == 0 then return 0 end
for _, key in ipairs(keys) do redis.call('UNLINK', ARGV[3] .. key) end
redis.call('ZREM', KEYS[2], unpack(keys))
return #keys == tonumber(ARGV[4]) and 1 or 0"
);

// Keys: generation, index, and the registry where it can be changed in the same step. Arguments: number, what entries begin
// with, the registry's member, keys. Adds those that are entries to the index; answers how many were not in it.
script!(
    INDEX,
    Wait,
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
local added = 0
for at = 4, #ARGV do
  if redis.call('EXISTS', ARGV[2] .. ARGV[at]) == 1 then
    added = added + redis.call('ZADD', KEYS[2], 0, ARGV[at])
  end
end
if KEYS[3] and added > 0 then redis.call('ZADD', KEYS[3], 0, ARGV[3]) end
return {0, added}"
);

// Keys: generation, entry, index, and the registry where it can be changed in the same step. Arguments: number, key, the
// registry's member, expected or nothing for absence, new or nothing for removal, each behind a 1 where it is given. Answers 0 if swapped, else 1 and what was found.
script!(
    COMPARE_AND_SWAP,
    Follow,
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
local found = redis.call('GET', KEYS[2])
local expected = ARGV[4] == '1' and ARGV[5]
if found ~= expected then return {1, found} end
if ARGV[6] == '1' then
  redis.call('SET', KEYS[2], ARGV[7])
  redis.call('ZADD', KEYS[3], 0, ARGV[2])
  if KEYS[4] then redis.call('ZADD', KEYS[4], 0, ARGV[3]) end
elseif found then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
end
return {0}"
);

// Keys as above. Arguments: number, key, the registry's member, value, milliseconds or 0. Answers 0 if stored, else 1 and what was found.
script!(
    FILL,
    Follow,
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
local found = redis.call('GET', KEYS[2])
if found then return {1, found} end
if ARGV[5] == '0' then
  redis.call('SET', KEYS[2], ARGV[4])
else
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
end
redis.call('ZADD', KEYS[3], 0, ARGV[2])
if KEYS[4] then redis.call('ZADD', KEYS[4], 0, ARGV[3]) end
return {0}"
);

/// A script's call. `fill` adds the number of keys, the keys and the arguments. `None` if nothing ran and the slot has to be
/// looked up again.
pub(crate) async fn run(
    links: &Arc<Links>,
    live: &Live,
    doing: &str,
    call: Call,
    script: &Script,
    fill: impl Fn(&mut Cmd),
    chase: &mut Chase,
) -> Result<Option<Value>> {
    let mut text = None;
    loop {
        let mut command = match text {
            None => redis::cmd("EVALSHA"),
            Some(_) => redis::cmd("EVAL"),
        };
        command.arg(text.unwrap_or(script.hash.as_str()));
        fill(&mut command);
        let mut commands = redis::pipe();
        commands.add_command(command);
        let answer = match links.send(live, doing, call, &commands, script.ask, chase).await? {
            Sent::Answers(mut answers) | Sent::Asked(mut answers) => answers.pop(),
            Sent::Elsewhere => return Ok(None),
        };
        match answer {
            // The server was restarted or has another primary. Nothing ran.
            Some(Value::ServerError(error)) if text.is_none() && error.code() == "NOSCRIPT" => text = Some(script.code),
            // Part of it has gone ahead.
            Some(Value::ServerError(error)) if script.ask == Ask::Wait && is_partly_gone(&error) => {
                return links.follow(Redirect::Wait, doing, chase).await.map(|()| None);
            }
            Some(answer) => return outcome(doing, call, answer).map(Some),
            None => return Err(odd(doing, call)),
        }
    }
}

/// Runs a script on keys of one slot, at the primary that has it.
pub(crate) async fn run_on(
    inner: &Inner,
    slot: u16,
    doing: &str,
    call: Call,
    script: &Script,
    fill: impl Fn(&mut Cmd),
) -> Result<Value> {
    let mut chase = Chase::default();
    loop {
        let live = inner.links.primary(slot, inner.links.lane(call)).await?;
        if let Some(answer) = run(&inner.links, &live, doing, call, script, &fill, &mut chase).await? {
            return Ok(answer);
        }
    }
}

/// Whether a script met a key that is at another node already.
fn is_partly_gone(error: &ServerError) -> bool {
    error.details().is_some_and(|detail| detail.contains("non local key"))
}

/// A script that fails has run up to the command that was refused.
fn outcome(doing: &str, call: Call, answer: Value) -> Result<Value> {
    match answer {
        Value::ServerError(error) => {
            let detail = error.details().unwrap_or_default();
            let has_run = call == Call::Write
                && error.code() != "BUSY"
                && (detail.contains("script") || detail.contains("call to f_"));
            let error = refused(doing, &error);
            Err(if has_run { Error::new(error.kind(), Effect::Unknown, error.to_string()) } else { error })
        }
        value => Ok(value),
    }
}
