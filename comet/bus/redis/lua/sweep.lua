-- Drop messages that are too old or too many, a limited number at a time.
--
-- ARGV: the topic prefix; the bytes to hold in all; how many messages to drop
-- at most; and for how many milliseconds no other node shall sweep in the
-- background, or 0 to sweep in any case.
--
-- Returns whether there is more to drop.

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
if #found == 0 and life.size <= tonumber(ARGV[2]) then
  return {'OK', 0}
end
local more = #found == left
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
    local idle = kept.time + math.max(REMEMBERED, kept.seconds)
    if kept.count == 0 and idle <= life.now then
      keep(name, kept)
      forgetRecord(life, name)
    else
      keep(name, kept)
      -- If not everything could be dropped now, the rest is still due.
      redis.call('ZADD', due, string.format('%.6f', stored and stored + kept.seconds or idle), name)
    end
  end
end
more = evict(life, tonumber(ARGV[2]), math.max(left, 1)) or more
save(life)
return {'OK', more and 1 or 0}
