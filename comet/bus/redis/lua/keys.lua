-- Idempotency keys, for the scripts that store and forget them.
--
--   known:PUBLISHER  hash: what was published under each key of a publisher, by
--                    the digest of the key: the fingerprint (16 bytes), the time
--                    until which the key is known, how many bytes it counts for,
--                    the first position, and the order of the channels
--   order:PUBLISHER  list: the digest of each key (32 bytes) and the time until
--                    which it is known; oldest first
--   keysizes         sorted set: how many bytes the keys of each publisher count
--                    for, below 0, so that the largest is the first
--   keysdue          sorted set: the time at which the oldest key of each publisher
--                    is too old
--
-- Both of a publisher also expire by themselves, if no script forgets them.

local KEY_SECONDS = 300
local PRINT_BYTES, DIGEST_BYTES = 16, 32
local KEY_SIZES, KEYS_DUE = PREFIX .. 'keysizes', PREFIX .. 'keysdue'

local function knownOf(publisher)
  return PREFIX .. 'known:' .. publisher
end

local function orderOf(publisher)
  return PREFIX .. 'order:' .. publisher
end

local function countKeys(life, publisher, size)
  redis.call('ZINCRBY', KEY_SIZES, text(-size), publisher)
  life.keys = math.max(0, life.keys + size)
end

-- Forget all keys of a publisher.
local function forgetPublisher(life, publisher)
  local size = redis.call('ZSCORE', KEY_SIZES, publisher)
  life.keys = math.max(0, life.keys + (tonumber(size) or 0))
  redis.call('ZREM', KEY_SIZES, publisher)
  redis.call('ZREM', KEYS_DUE, publisher)
  redis.call('UNLINK', knownOf(publisher), orderOf(publisher))
end

-- The time in an entry of the list, as a text; an entry of a foreign writer is
-- as old as can be.
local function timeOf(entry)
  return string.match(string.sub(entry, DIGEST_BYTES + 1), '^%d+%.%d+$') or '0'
end

-- What is kept of a key: its fingerprint, the time until which it is known, its
-- size, its first position and the order of its channels; or nil.
local function readKey(publisher, digest)
  local raw = redis.call('HGET', knownOf(publisher), digest)
  if not raw then
    return nil
  end
  local dies, size, first, order =
    string.match(string.sub(raw, PRINT_BYTES + 1), '^(%d+%.%d+) (%d+) (%d+) (%S*)$')
  return {print = string.sub(raw, 1, PRINT_BYTES), dies = dies or '0',
    size = tonumber(size) or 0, first = first, order = order}
end

-- Forget the oldest key of a publisher.
local function forgetOldestKey(life, publisher)
  local list = orderOf(publisher)
  local entry = redis.call('LPOP', list)
  if entry then
    local digest = string.sub(entry, 1, DIGEST_BYTES)
    local kept = readKey(publisher, digest)
    -- The key may have come again since, after it was too old.
    if kept and kept.dies == timeOf(entry) then
      redis.call('HDEL', knownOf(publisher), digest)
      countKeys(life, publisher, -kept.size)
    end
  end
  local following = redis.call('LINDEX', list, 0)
  if following then
    redis.call('ZADD', KEYS_DUE, timeOf(following), publisher)
  else
    forgetPublisher(life, publisher)
  end
end

-- Forget keys that are too old, but no more than most.  Returns how many steps
-- it took: if there are most, there may be more to forget.
local function forgetOldKeys(life, most)
  local now = string.format('%.6f', life.now)
  local done = 0
  for _, publisher in ipairs(redis.call('ZRANGEBYSCORE', KEYS_DUE, '-inf', now, 'LIMIT', 0, most)) do
    local list = orderOf(publisher)
    local newest = redis.call('LINDEX', list, -1)
    if not newest or tonumber(timeOf(newest)) <= life.now then
      forgetPublisher(life, publisher)
      done = done + 1
    else
      while done < most and tonumber(timeOf(redis.call('LINDEX', list, 0))) <= life.now do
        forgetOldestKey(life, publisher)
        done = done + 1
      end
    end
    if done >= most then
      break
    end
  end
  return done
end

-- Return what is known of a key, or nil if it is not known.  A log that was
-- lost may have begun anew below the positions of a key, which means nothing
-- then.
local function recallKey(life, publisher, digest, channels)
  local kept = readKey(publisher, digest)
  if kept and kept.first and tonumber(kept.dies) > life.now
      and tonumber(kept.first) + channels - 1 <= life.head then
    return kept
  end
  return nil
end

-- Keep a key that is not known.
local function rememberKey(life, publisher, digest, print, size, first, order)
  local old = readKey(publisher, digest)
  if old then
    countKeys(life, publisher, -old.size)
  end
  local dies = string.format('%.6f', life.now + KEY_SECONDS)
  local hash, list = knownOf(publisher), orderOf(publisher)
  redis.call('HSET', hash, digest,
    print .. dies .. ' ' .. text(size) .. ' ' .. first .. ' ' .. order)
  redis.call('RPUSH', list, digest .. dies)
  redis.call('ZADD', KEYS_DUE, 'NX', dies, publisher)
  countKeys(life, publisher, size)
  for _, key in ipairs({hash, list, KEY_SIZES, KEYS_DUE}) do
    redis.call('EXPIRE', key, 2 * KEY_SECONDS)
  end
end

-- How many keys one script forgets at most.
local MOST_KEYS = 1000

-- Forget what is more than the publishers that are named may have each, and all
-- publishers together.
local function trimKeys(life, publishers, each, all)
  local left = MOST_KEYS
  for _, publisher in ipairs(publishers) do
    while left > 0 and -tonumber(redis.call('ZSCORE', KEY_SIZES, publisher) or 0) > each do
      forgetOldestKey(life, publisher)
      left = left - 1
    end
  end
  if life.keys > all then
    left = left - forgetOldKeys(life, left)
  end
  while life.keys > all and left > 0 do
    local largest = redis.call('ZRANGE', KEY_SIZES, 0, 0)[1]
    if not largest then
      life.keys = 0
      break
    end
    forgetOldestKey(life, largest)
    left = left - 1
  end
end
