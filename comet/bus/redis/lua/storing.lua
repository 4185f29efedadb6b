-- How the scripts that store messages add some to the log.  This needs blocks.lua.
--
-- A batch is one script, and often for one channel.  So messages are told to the nodes one
-- by one, and then written channel by channel: what is known of a channel is read and
-- written once, and a message is not written that a later one of the batch displaces.

-- How many messages of a channel one script displaces, beside as many as it stores.
local MOST_SHED = 200

-- The channels of which this script has messages, in order, and by their names.  Each has
-- its record and its messages: the position, the body, and how many bytes of payload and
-- in all it counts for.
local touched, touchedByName = {}, {}

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

-- What is known of a channel that is stored to, for this script.
--
-- messages, seconds and bytes: as store() takes them.
local function touch(life, name, messages, seconds, bytes)
  local one = touchedByName[name]
  if not one then
    local kept = record(name)
    if not kept then
      kept = {count = 0, bytes = 0, size = 0}
      life.size = life.size + recordSize(name)
      redis.call('ZADD', PREFIX .. 'names', unpack(entriesOf(name)))
      if life.floor > 0 then
        redis.call('ZADD', PREFIX .. 'floors', text(life.floor), name)
      end
    end
    one = {name = name, kept = kept, new = {}, topic = TOPIC_PREFIX .. 'm:' .. name}
    touched[#touched + 1], touchedByName[name] = one, one
  end
  local kept = one.kept
  if kept.count > 0 and kept.seconds and math.abs(kept.seconds - seconds) > 0.000001 then
    -- The next sweep finds when a message is too old now.
    redis.call('ZADD', PREFIX .. 'due', string.format('%.6f', life.now), name)
  end
  kept.messages, kept.seconds, kept.limit = messages, seconds, bytes
  return one
end

-- Store a message of a channel, which is the newest of the log, and tell all nodes
-- of it.  It is written by settle(), which the caller calls once it has stored all; it
-- then evicts what is too much, saves the state, and announces the head.
--
-- messages, seconds and bytes: how much of the channel may be held.  body: the time,
-- the event, the encoding and the payload, a line each.  Returns its position, as a
-- text.
local function store(life, name, messages, seconds, bytes, body)
  life.head = life.head + 1
  local position = text(life.head)
  local one = touch(life, name, messages, seconds, bytes)
  local _, payload, size = measure(body, name)
  one.new[#one.new + 1] = {position = position, body = body, payload = payload, size = size}
  indexPosition(life, position, name)
  redis.call('PUBLISH', one.topic, life.epoch .. ' ' .. position .. '\n' .. body)
  return position
end

-- The first of the new messages of a channel that the later ones do not displace, and
-- whether they displace all that were held before.
local function firstHeld(one)
  local new, kept = one.new, one.kept
  local first, bytes = #new + 1, 0
  while first > 1 and #new - first + 2 <= kept.messages
      and bytes + new[first - 1].payload <= kept.limit do
    first = first - 1
    bytes = bytes + new[first].payload
  end
  return first, first > 1 or #new >= kept.messages
end

-- Drop what was held of a channel before, and those before the first of its new
-- messages.
local function displace(life, one, first)
  local name, kept = one.name, one.kept
  local floor = first > 1 and one.new[first - 1].position
  if kept.count > 0 then
    floor = floor or redis.call('ZSCORE', PREFIX .. 'heads', name)
    countBytes(life, name, -kept.size)
    leaveAccount(life, name)
    redis.call('UNLINK', PREFIX .. 's:' .. name)
  end
  if floor then
    redis.call('ZADD', PREFIX .. 'floors', floor, name)
  end
  noteDropped(life, kept.count + first - 1)
  kept.count, kept.bytes, kept.size = 0, 0, 0
end

-- Write the new messages of a channel from the first on.
local function write(life, one, first)
  local name, kept = one.name, one.kept
  local stream, before = PREFIX .. 's:' .. name, kept.size
  if kept.count == 0 then
    local position = one.new[first].position
    kept.size = STREAM_OVERHEAD
    enterAccount(life, name, position)
    leaveEmpty(life, name)
    redis.call('ZADD', PREFIX .. 'oldest', position, name)
    redis.call('ZADD', PREFIX .. 'due', string.format('%.6f', life.now + kept.seconds), name)
  end
  for index = first, #one.new do
    local each = one.new[index]
    add(stream, each.position, each.body)
    kept.count, kept.bytes = kept.count + 1, kept.bytes + each.payload
    kept.size = kept.size + each.size
  end
  countBytes(life, name, kept.size - before)
end

-- Write all that this script has stored, without what is too much of each channel.
local function settle(life)
  for _, one in ipairs(touched) do
    local name, kept = one.name, one.kept
    local first, displacesAll = firstHeld(one)
    if displacesAll then
      displace(life, one, first)
    end
    redis.call('ZADD', PREFIX .. 'heads', one.new[#one.new].position, name)
    if first > #one.new then
      clear(life, name, kept)
    else
      write(life, one, first)
      if kept.count > kept.messages or kept.bytes > kept.limit then
        local most = MOST_SHED + #one.new
        local gone, rest = shed(life, name, kept, 0, most)
        if gone == most and rest then
          redis.call('ZADD', PREFIX .. 'due', string.format('%.6f', life.now), name)
        end
      end
    end
    keep(name, kept)
  end
  settleIndex(life)
  touched, touchedByName = {}, {}
end
