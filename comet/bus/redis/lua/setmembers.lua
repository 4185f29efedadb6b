-- Take what a node has of some clients, in order.  Tell all nodes of what changes.
--
-- ARGV: the topic prefix; the bytes to hold in all; the name of the node; 1 if the node
-- is new; how many members a channel may have, and all channels together; how many
-- clients; and for each the channel, the client, how many readers the node has, 1 if the
-- name was taken, the grace, what is told of the client, and how many messages, seconds
-- and bytes of what is told may be held.
--
-- Returns 'NONE' if there is no log.  'FORGOTTEN' if nothing counts any more that the
-- node has said, nor does this.  Otherwise 'OK', the epoch, the head, whether there is
-- more to drop; and the indices, from 0, of the clients for which there was no room.

local life = load()
if not life then
  return {'NONE'}
end
local node, each, inAll = ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
if not isOfEpoch(life, node)
    or (ARGV[4] ~= '1' and not redis.call('ZSCORE', NODES, node)) then
  return {'FORGOTTEN'}
end
redis.call('ZADD', NODES, string.format('%.6f', life.now), node)

local before = life.head

-- Take what there is of a client with a name.  Returns whether there was room for it.
local function set(channel, client, count, isTaken, grace, payload, bounds)
  local member = memberOf(channel, client)
  if not member then
    if count == 0 and (grace == 0 or not isTaken) then
      countReaders(node, channel, client, 0)
      return true
    end
    if life.members >= inAll or redis.call('ZCARD', membersKey(channel)) >= each then
      return false
    end
    countReaders(node, channel, client, count)
    member = {since = string.format('%.6f', life.now), grace = grace, total = count,
      payload = payload}
    local position = tell(life, channel, 'join', payload, bounds)
    redis.call('ZADD', membersKey(channel), position, client)
    life.members = life.members + 1
    keepMember(channel, client, member)
    waitFor(life, channel, client, member)
    return true
  end
  local total = member.total
  member.total = math.max(0, total + countReaders(node, channel, client, count))
  if count > 0 or member.total == 0 then
    -- The nodes that have readers say for how long the client stays after them.
    member.grace = grace
  end
  if member.total == 0 and grace == 0 then
    leave(life, channel, client, member.payload, bounds)
    return true
  end
  if isTaken and member.payload ~= payload then
    member.payload = payload
    tell(life, channel, 'update', payload, bounds)
  end
  keepMember(channel, client, member)
  if member.total > 0 or total > 0 or isTaken then
    waitFor(life, channel, client, member)
  end
  return true
end

local reply = {'OK', life.epoch, 0, 0}
for index = 0, tonumber(ARGV[7]) - 1 do
  local channel, client, count, isTaken, grace, payload, messages, seconds, bytes =
    unpack(ARGV, 8 + 9 * index, 16 + 9 * index)
  if client == '' then
    countAnonymous(channel, countReaders(node, channel, '', tonumber(count)))
  elseif not set(channel, client, tonumber(count), isTaken == '1', tonumber(grace), payload,
      {tonumber(messages), tonumber(seconds), tonumber(bytes)}) then
    reply[#reply + 1] = index
  end
end
if life.head > before then
  settle(life)
  if evict(life, tonumber(ARGV[2]), 100 + 2 * (life.head - before)) then
    reply[4] = 1
  end
  save(life)
  announce(life, before)
end
reply[3] = life.head
return reply
