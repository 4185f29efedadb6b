-- Note that a node lives, take out what dead nodes have left, and let members leave
-- whose grace is over, a limited number at a time.
--
-- ARGV: the topic prefix; the bytes to hold in all; the name of the node, or '' if it
-- has said nothing; how many steps to take at most; and how many messages, seconds and
-- bytes of what is told may be held where nothing else is known.
--
-- Returns 'NONE' if there is no log.  Otherwise 'OK', the epoch, whether what the node
-- has said counts, and whether there is more to do.

-- How many nodes are looked at.
local MOST_NODES = 1000

local life = load()
if not life then
  return {'NONE'}
end
local node, left, before = ARGV[3], tonumber(ARGV[4]), life.head
local counts = isOfEpoch(life, node) and redis.call('ZSCORE', NODES, node) and 1 or 0
if counts == 1 then
  redis.call('ZADD', NODES, string.format('%.6f', life.now), node)
end

local known = redis.call('ZRANGE', NODES, 0, MOST_NODES - 1, 'WITHSCORES')
for index = 1, #known, 2 do
  local name, proved = known[index], tonumber(known[index + 1])
  -- No node of comet's has proved that it lives in the future.
  if not isOfEpoch(life, name) or math.abs(life.now - proved) > NODE_SECONDS then
    redis.call('ZREM', NODES, name)
    redis.call('ZADD', GONE_NODES, 0, name)
  end
end

-- Take out one entry of a dead node.
local function release(entry, count)
  local channel, client = splitEntry(entry)
  count = tonumber(count)
  if not channel or not count then
    return
  elseif client == '' then
    countAnonymous(channel, -count)
    return
  end
  local member = memberOf(channel, client)
  if member and member.total > 0 then
    member.total = math.max(0, member.total - count)
    keepMember(channel, client, member)
    if member.total == 0 then
      waitFor(life, channel, client, member)
    end
  end
end

while left > 0 do
  local name = redis.call('ZRANGE', GONE_NODES, 0, 0)[1]
  if not name then
    break
  end
  local key = nodeKey(name)
  local found = redis.call('HRANDFIELD', key, left, 'WITHVALUES')
  for index = 1, #found, 2 do
    release(found[index], found[index + 1])
    redis.call('HDEL', key, found[index])
    left = left - 1
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', GONE_NODES, name)
  end
end

local due = redis.call('ZRANGEBYSCORE', LEAVING, '-inf', string.format('%.6f', life.now),
  'LIMIT', 0, math.max(left, 0))
for _, entry in ipairs(due) do
  left = left - 1
  redis.call('ZREM', LEAVING, entry)
  local channel, client = splitEntry(entry)
  local member = channel and memberOf(channel, client)
  if member and member.total == 0 then
    local kept = record(TELLING .. channel)
    local bounds = {tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])}
    if kept and kept.messages and kept.seconds and kept.limit then
      bounds = {kept.messages, kept.seconds, kept.limit}
    end
    leave(life, channel, client, member.payload, bounds)
  end
end
if life.head > before then
  settle(life)
  evict(life, tonumber(ARGV[2]), 100 + 2 * (life.head - before))
  save(life)
  announce(life, before)
end
return {'OK', life.epoch, counts, left <= 0 and 1 or 0}
