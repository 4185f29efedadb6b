-- Keep something beside the log, or drop it, and store the message that tells of it.
--
--   k:CHANNEL   hash: what is kept in the table of a channel: under each key the time,
--               for how many seconds it is kept ('' for ever) and the payload, a line
--               each
--   ko:CHANNEL  sorted set without scores: the keys, in their order
--   kd:CHANNEL  sorted set: the time at which an entry is over, of each that has one
--
-- ARGV: the topic prefix; the bytes to hold in all; 'put' or 'drop'; the channel; the
-- key; for how many seconds to keep it, or ''; how many entries there may be; how many
-- messages, seconds and bytes of the channel may be held; and the text of the message:
-- event, encoding and payload, a line each.
--
-- Returns 'NONE' if there is no log, 'FULL' if the table is, 'ABSENT' if there is nothing
-- to drop.  Otherwise 'OK', the epoch, the position of the message, and its time.

-- How many entries that are over one script forgets.
local MOST_OVER = 1000

local life = load()
if not life then
  return {'NONE'}
end
local total, what, channel, key = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local entries, order, due = PREFIX .. 'k:' .. channel, PREFIX .. 'ko:' .. channel,
  PREFIX .. 'kd:' .. channel
local stamp = string.format('%.6f', life.now)

local function drop(name)
  redis.call('HDEL', entries, name)
  redis.call('ZREM', order, name)
  redis.call('ZREM', due, name)
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', stamp, 'LIMIT', 0, MOST_OVER)) do
  drop(name)
end

if what == 'drop' then
  local over = tonumber(redis.call('ZSCORE', due, key) or math.huge)
  -- A key that has lost its value, too: nodes take it for something that they cannot read.
  local isThere = over > life.now and (redis.call('HEXISTS', entries, key) == 1
    or redis.call('ZSCORE', order, key) ~= false)
  drop(key)
  if not isThere then
    return {'ABSENT'}
  end
else
  if redis.call('HEXISTS', entries, key) == 0
      and redis.call('HLEN', entries) >= tonumber(ARGV[7]) then
    return {'FULL'}
  end
  local payload = string.match(ARGV[11], '^[^\n]*\n[^\n]*\n(.*)$')
  redis.call('HSET', entries, key, stamp .. '\n' .. ARGV[6] .. '\n' .. payload)
  redis.call('ZADD', order, 0, key)
  if ARGV[6] == '' then
    redis.call('ZREM', due, key)
  else
    redis.call('ZADD', due, string.format('%.6f', life.now + tonumber(ARGV[6])), key)
  end
end

local before = life.head
local position = store(life, channel, tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]),
  stamp .. '\n' .. ARGV[11])
settle(life)
evict(life, total, 102)
save(life)
announce(life, before)
return {'OK', life.epoch, position, stamp}
