//! What has to be one step on the server and is more than one command. Each script begins by comparing the bucket's
//! generation with the one that its keys are of, and does nothing where it is another.

use std::sync::LazyLock;

use kv_core::{Effect, Error, Result};
use redis::{Cmd, Value};

use crate::connection::Live;
use crate::error::{Call, refused};

/// What scripts answer, as the first element, if the generation is another: then nothing ran.
pub(crate) const STALE: i64 = -1;

/// A script, and the hash by which a server that has seen it knows it.
pub(crate) struct Script {
    pub(crate) code: &'static str,
    hash: String,
}

macro_rules! script {
    ($name:ident, $text:expr) => {
        pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script { code: $text, hash: redis::Script::new($text).get_hash().to_owned() });
    };
}

// Keys: generation, entries. Arguments: number, budget. Answers 0 and the values, or 1 over the budget.
script!(
    READ_MANY,
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
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
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
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

// Keys: registry. Arguments: least name, most names, then what generations, indices and entries begin with, most looks.
// Answers whether there are more, the last name looked at, and the names of those that hold an entry. Others are taken
// out.
script!(
    BUCKETS,
    r"local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]))
local looks, out = tonumber(ARGV[6]), {0, false}
for at, name in ipairs(names) do
  if looks <= 0 then out[1] = 1 return out end
  local number = redis.call('GET', ARGV[3] .. name) or '0'
  local index = ARGV[4] .. name .. ':' .. number
  local entries = ARGV[5] .. name .. ':' .. number .. ':'
  local live = false
  while not live do
    local keys = redis.call('ZRANGE', index, 0, 99)
    if #keys == 0 then break end
    local gone = {}
    for _, key in ipairs(keys) do
      looks = looks - 1
      if redis.call('EXISTS', entries .. key) == 1 then live = true break end
      gone[#gone + 1] = key
    end
    if #gone > 0 then redis.call('ZREM', index, unpack(gone)) end
    if looks <= 0 and not live then out[1] = 1 return out end
  end
  if live then out[#out + 1] = name else redis.pcall('ZREM', KEYS[1], name) end
  out[2] = name
end
if #names == tonumber(ARGV[2]) then out[1] = 1 end
return out"
);

// Keys: generation, registry, trash. Arguments: bucket, what indices begin with. Answers whether anything was dropped.
script!(
    DROP,
    r"local number = redis.call('GET', KEYS[1]) or '0'
if redis.call('EXISTS', ARGV[2] .. number) == 0 then return 0 end
redis.call('SADD', KEYS[3], ARGV[1] .. ':' .. number)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('INCR', KEYS[1])
return 1"
);

// Keys: trash. Arguments: what indices, entries and generations begin with, most entries. Answers whether there may be more.
// A drop that was refused half-way notes a generation that lives: that is no garbage.
script!(
    SWEEP,
    r"local garbage = redis.call('SRANDMEMBER', KEYS[1])
if not garbage then return 0 end
local bucket, number = string.match(garbage, '^(.*):(%d+)$')
local lives = not bucket or (redis.call('GET', ARGV[3] .. bucket) or '0') == number
local index, entries = ARGV[1] .. garbage, ARGV[2] .. garbage .. ':'
local keys = lives and {} or redis.call('ZRANGE', index, 0, tonumber(ARGV[4]) - 1)
if #keys == 0 then
  redis.call('SREM', KEYS[1], garbage)
  return 1
end
for _, key in ipairs(keys) do redis.call('UNLINK', entries .. key) end
redis.call('ZREM', index, unpack(keys))
return 1"
);

// Keys: generation, entry, index, registry. Arguments: number, key, bucket, expected or nothing for absence, new or
// nothing for removal, each behind a 1 where it is given. Answers 0 if swapped, else 1 and what was found.
script!(
    COMPARE_AND_SWAP,
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
local found = redis.call('GET', KEYS[2])
local expected = ARGV[4] == '1' and ARGV[5]
if found ~= expected then return {1, found} end
if ARGV[6] == '1' then
  redis.call('SET', KEYS[2], ARGV[7])
  redis.call('ZADD', KEYS[3], 0, ARGV[2])
  redis.call('ZADD', KEYS[4], 0, ARGV[3])
elseif found then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
end
return {0}"
);

// Keys as above. Arguments: number, key, bucket, value, milliseconds or 0. Answers 0 if stored, else 1 and what was found.
script!(
    FILL,
    r"if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return {-1} end
local found = redis.call('GET', KEYS[2])
if found then return {1, found} end
if ARGV[5] == '0' then
  redis.call('SET', KEYS[2], ARGV[4])
else
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
end
redis.call('ZADD', KEYS[3], 0, ARGV[2])
redis.call('ZADD', KEYS[4], 0, ARGV[3])
return {0}"
);

/// A script's call. `fill` adds the number of keys, the keys and the arguments.
pub(crate) async fn run(
    live: &Live,
    doing: &str,
    call: Call,
    script: &Script,
    fill: impl Fn(&mut Cmd),
) -> Result<Value> {
    let mut by_hash = redis::cmd("EVALSHA");
    by_hash.arg(script.hash.as_str());
    fill(&mut by_hash);
    match live.raw(doing, call, &by_hash).await? {
        // The server was restarted or has another primary. Nothing ran.
        Value::ServerError(error) if error.code() == "NOSCRIPT" => {
            let mut whole = redis::cmd("EVAL");
            whole.arg(script.code);
            fill(&mut whole);
            outcome(doing, call, live.raw(doing, call, &whole).await?)
        }
        answer => outcome(doing, call, answer),
    }
}

/// A script that fails has run up to the command that was refused.
fn outcome(doing: &str, call: Call, answer: Value) -> Result<Value> {
    match answer {
        Value::ServerError(error) => {
            let detail = error.details().unwrap_or_default();
            let has_run = call == Call::Write && (detail.contains("script") || detail.contains("call to f_"));
            let error = refused(doing, &error);
            Err(if has_run { Error::new(error.kind(), Effect::Unknown, error.to_string()) } else { error })
        }
        value => Ok(value),
    }
}
