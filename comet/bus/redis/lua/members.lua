-- The members of channels, for the scripts that change and read them.  This needs
-- blocks.lua and storing.lua, where members change.
--
--   nodes            sorted set: when each node has proved last that it lives
--   gonenodes        sorted set without scores: nodes that are dead, of which something
--                    is left
--   node:NODE        hash: how many readers a node has of each client in each channel,
--                    by the channel, a line break and the client; the client is empty
--                    for all readers without a name
--   members:CHANNEL  sorted set: the position at which each member has joined
--   shown:CHANNEL    hash: what is known of each member: since when it is there, its
--                    grace, and how many readers it has on all nodes, with spaces
--                    between; a line break; and what is told of it
--   anonymous        hash: how many readers without a name each channel has
--   changed          hash: the position of the last message about each channel that
--                    has members
--   leaving          sorted set: when the grace of each member without a reader is
--                    over, by the channel, a line break and the client
--
-- The name of a node begins with the epoch in which it began, and a hyphen.  In another
-- epoch the node does not count: what it said may be lost in part.

local NODES, GONE_NODES = PREFIX .. 'nodes', PREFIX .. 'gonenodes'
local ANONYMOUS, CHANGED, LEAVING = PREFIX .. 'anonymous', PREFIX .. 'changed', PREFIX .. 'leaving'
local TELLING = '$presence/'

-- After how many seconds without a proof a node is dead.
local NODE_SECONDS = 10

local function nodeKey(node)
  return PREFIX .. 'node:' .. node
end

local function membersKey(channel)
  return PREFIX .. 'members:' .. channel
end

local function shownKey(channel)
  return PREFIX .. 'shown:' .. channel
end

local function entryOf(channel, client)
  return channel .. '\n' .. client
end

local function splitEntry(entry)
  return string.match(entry, '^([^\n]*)\n(.*)$')
end

local function isOfEpoch(life, node)
  return string.sub(node, 1, #life.epoch + 1) == life.epoch .. '-'
end

-- What is known of a member, or nil if it is none.
local function memberOf(channel, client)
  local since, grace, total, payload = string.match(
    redis.call('HGET', shownKey(channel), client) or '', '^([%d.]+) ([%d.]+) (%d+)\n(.*)$')
  if not payload or not tonumber(since) or not tonumber(grace) then
    return nil
  end
  return {since = since, grace = tonumber(grace), total = tonumber(total), payload = payload}
end

local function keepMember(channel, client, member)
  redis.call('HSET', shownKey(channel), client, string.format('%s %.6f %.0f\n%s',
    member.since, member.grace, member.total, member.payload))
end

-- Let the grace of a member begin, or end.
local function waitFor(life, channel, client, member)
  if member.total > 0 then
    redis.call('ZREM', LEAVING, entryOf(channel, client))
  else
    redis.call('ZADD', LEAVING, string.format('%.6f', life.now + member.grace),
      entryOf(channel, client))
  end
end

local function countAnonymous(channel, change)
  if change ~= 0 and redis.call('HINCRBY', ANONYMOUS, channel, text(change)) <= 0 then
    redis.call('HDEL', ANONYMOUS, channel)
  end
end

-- Note how many readers a node has of a client.  Returns how many more than before.
local function countReaders(node, channel, client, count)
  local key, entry = nodeKey(node), entryOf(channel, client)
  local before = tonumber(redis.call('HGET', key, entry) or 0) or 0
  if count > 0 then
    redis.call('HSET', key, entry, text(count))
  else
    redis.call('HDEL', key, entry)
  end
  return count - before
end

-- Store a message about a member.  bounds: how many messages, seconds and bytes may be
-- held of the channel that tells it.  Returns its position.
local function tell(life, channel, event, payload, bounds)
  local body = string.format('%.6f', life.now) .. '\n' .. event .. '\n\n' .. payload
  local position = store(life, TELLING .. channel, bounds[1], bounds[2], bounds[3], body)
  redis.call('HSET', CHANGED, channel, position)
  return position
end

local function leave(life, channel, client, payload, bounds)
  redis.call('HDEL', shownKey(channel), client)
  life.members = math.max(0, life.members - redis.call('ZREM', membersKey(channel), client))
  redis.call('ZREM', LEAVING, entryOf(channel, client))
  tell(life, channel, 'leave', payload, bounds)
  if redis.call('ZCARD', membersKey(channel)) == 0 then
    redis.call('HDEL', CHANGED, channel)
  end
end
