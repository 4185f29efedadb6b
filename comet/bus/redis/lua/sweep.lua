-- Drop messages that are too old or too many, and idempotency keys that are too
-- old, a limited number at a time; and remove some of the dropped messages from the
-- index of positions.
--
-- ARGV: the topic prefix; the bytes to hold in all; how many messages to drop
-- at most; and for how many milliseconds no other node shall sweep in the
-- background, or 0 to sweep in any case.
--
-- Returns whether there is more to drop.

-- How many dropped messages may stay in the index until the next sweep.
local MOST_STALE = 1000

local life = load()
if not life then
  return {'OK', 0}
end
if ARGV[4] ~= '0' and not redis.call('SET', PREFIX .. 'sweeper', '1', 'NX', 'PX', ARGV[4]) then
  return {'OK', 0}
end

local left = tonumber(ARGV[3])
local due = PREFIX .. 'due'
local found = redis.call('ZRANGEBYSCORE', due, '-inf', string.format('%.6f', life.now),
  'LIMIT', 0, left)
local total = tonumber(ARGV[2])
local forgotten = forgetOldKeys(life, left)
if #found == 0 and life.size <= total and not isExcess(life, total) and forgotten == 0
    and life.stale == 0 then
  return {'OK', 0}
end
local more = #found == left or forgotten == left
for _, name in ipairs(found) do
  if left <= 0 then
    more = true
    break
  end
  left = left - 1
  local kept = record(name)
  if not kept then
    redis.call('ZREM', due, name)
  else
    local gone, stored = shed(life, name, kept, 0, left)
    left = left - gone
    keep(name, kept)
    if stored then
      -- If not everything could be dropped now, the rest is still due.
      redis.call('ZADD', due, string.format('%.6f', stored + kept.seconds), name)
    end
  end
end
more = evict(life, total, math.max(left, 1)) or more
cleanBlocks(life, 8)
more = more or life.stale > MOST_STALE
save(life)
return {'OK', more and 1 or 0}
