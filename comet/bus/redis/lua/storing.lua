-- How the scripts that store messages add one to the log.  This needs blocks.lua.

-- How many messages of a channel one new message may displace at once.
local MOST_SHED = 200

-- Add a message to the stream of a channel.
local function add(stream, position, body)
  local added = redis.pcall('XADD', stream, position .. '-0', '', body)
  if type(added) == 'table' and added.err then
    -- The records do not know this stream: it is left from a log whose records
    -- were lost.
    redis.call('DEL', stream)
    redis.call('XADD', stream, position .. '-0', '', body)
  end
end

-- Store a message of a channel, which is the newest of the log, and tell all nodes
-- of it.  The caller saves the state, evicts what is then too much, and announces
-- the head.
--
-- messages, seconds and bytes: how much of the channel may be held.  body: the time,
-- the event, the encoding and the payload, a line each.  Returns its position, as a
-- text.
local function store(life, name, messages, seconds, bytes, body)
  life.head = life.head + 1
  local position = text(life.head)
  local kept = record(name)
  if not kept then
    kept = {count = 0, bytes = 0, size = 0}
    life.size = life.size + recordSize(name)
    redis.call('ZADD', PREFIX .. 'names', unpack(entriesOf(name)))
    if life.floor > 0 then
      redis.call('ZADD', PREFIX .. 'floors', text(life.floor), name)
    end
  end
  local before = kept.seconds or seconds
  kept.messages, kept.seconds, kept.limit = messages, seconds, bytes
  local _, payload, size = measure(body, name)
  add(PREFIX .. 's:' .. name, position, body)
  redis.call('ZADD', PREFIX .. 'heads', position, name)
  if kept.count == 0 then
    kept.size = STREAM_OVERHEAD
    countBytes(life, name, STREAM_OVERHEAD)
    enterAccount(life, name, position)
    leaveEmpty(life, name)
    redis.call('ZADD', PREFIX .. 'oldest', position, name)
    redis.call('ZADD', PREFIX .. 'due', string.format('%.6f', life.now + seconds), name)
  elseif math.abs(before - seconds) > 0.000001 then
    -- The next sweep finds when a message is too old now.
    redis.call('ZADD', PREFIX .. 'due', string.format('%.6f', life.now), name)
  end
  indexPosition(life, position, name)
  kept.count, kept.bytes, kept.size = kept.count + 1, kept.bytes + payload, kept.size + size
  countBytes(life, name, size)
  if kept.count > messages or kept.bytes > bytes then
    local gone, rest = shed(life, name, kept, 0, MOST_SHED)
    if gone == MOST_SHED and rest then
      redis.call('ZADD', PREFIX .. 'due', string.format('%.6f', life.now), name)
    end
  end
  keep(name, kept)
  redis.call('PUBLISH', TOPIC_PREFIX .. 'm:' .. name, life.epoch .. ' ' .. position .. '\n' .. body)
  return position
end
