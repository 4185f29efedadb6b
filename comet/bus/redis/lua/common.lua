-- What the scripts share: the keys, the state of the log, and how messages are
-- dropped.  The flags of a script stand before this file, and the script itself
-- after it.
--
--   state      hash: form, epoch, head, floor, size, reserved, empty, members, keys,
--              time, run, durable, and what blocks.lua notes: block, cleaned, stale, dirty
--   heads      sorted set: the position of the newest message of each channel
--   names      sorted set without scores: each channel that has a record, by its
--              name, and by its other segments (see entriesOf)
--   blocks     sorted set: the blocks of the index of positions, each by the
--              first position that may be in it
--   p:FIRST    string: one block: the position and the channel of each message, a
--              line each (see blocks.lua)
--   floors     sorted set: the floor of each channel that has one
--   oldest     sorted set: the position of the oldest message that is held, of
--              each channel that holds any
--   reserved   sorted set: of each of the server's own channels that hold any, the
--              position of its oldest message, or of an earlier one
--   others     sorted set: the same of all other channels
--   due        sorted set: the time at which a message of a channel is too old,
--              or an earlier time; of each channel that holds any
--   empty      sorted set: the position of the newest message of each channel
--              that holds none
--   c:CHANNEL  hash: what is held of a channel, and how much may be
--   s:CHANNEL  stream: its messages, by position
--   settings   hash: what nodes are configured with, by its digest, with the
--              time at which a node had it last
--
-- Those of idempotency keys are in keys.lua, those of the state beside the log in
-- keep.lua.
--
-- The "head" is the end of the log: the position of its newest message.
-- Positions are exact up to 2^53: a million messages a second for 285 years.
local POSITIONS = 2 ^ 53

-- The form of the log, which another version of comet may change.
local FORM = '5'

local STATE = KEYS[1]
local PREFIX = string.sub(STATE, 1, -#'state' - 1)
-- The beginning of the topics of PUBLISH.
local TOPIC_PREFIX = ARGV[1]

-- What a message, a channel, and the stream of a channel with messages cost
-- beside their bytes, as measured on Redis 7.0.  A message also counts for the
-- name of its channel, which the index of positions has.  A stream takes 4 KiB
-- for its newest messages.
local MESSAGE_OVERHEAD = 48
local CHANNEL_OVERHEAD = 512
local STREAM_OVERHEAD = 4288
-- What the index of names takes for each segment of a channel but the first,
-- beside the name.
local SEGMENT_OVERHEAD = 200

-- Channels without messages may take this part of the total, each counted without its
-- name; and this part with all that they count for.  Then those are forgotten whose
-- newest message is the oldest.
local FLOORS_PART = 4
local NAMED_FLOORS_PART = 2
-- The server's own channels with messages are safe from what clients publish while they
-- take no more than this part of the total.
local RESERVED_PART = 4

local function text(number)
  return string.format('%.0f', number)
end

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- A position, or nil if no script has written this.
local function whole(value)
  local number = value and tonumber(value)
  -- A number that is none is not between any two.
  if number and number >= 0 and number < POSITIONS and number % 1 == 0 then
    return number
  end
  return nil
end

-- The state of the log, or nil if there is none.  Its time never goes back.  An epoch or a
-- head that no script has written counts as none, so a new epoch begins: positions after
-- such a head would not grow, and readers would be given the same messages for ever.
local function load()
  local found = redis.call('HMGET', STATE, 'epoch', 'head', 'floor', 'size', 'time', 'keys',
    'block', 'cleaned', 'stale', 'dirty', 'reserved', 'members', 'empty')
  local epoch, head = found[1], whole(found[2])
  if not epoch or #epoch > 32 or not string.find(epoch, '^[A-Za-z0-9]+$') or not head then
    return nil
  end
  return {
    epoch = epoch,
    head = head,
    floor = tonumber(found[3]) or 0,
    size = tonumber(found[4]) or 0,
    -- How many bytes the idempotency keys count for.
    keys = tonumber(found[6]) or 0,
    now = math.max(clock(), tonumber(found[5]) or 0),
    block = tonumber(found[7]),
    cleaned = tonumber(found[8]) or -1,
    stale = tonumber(found[9]) or 0,
    isDirty = found[10] == '1',
    -- How many bytes the server's own channels count for that hold messages.
    reserved = tonumber(found[11]) or 0,
    -- How many members all channels have.
    members = tonumber(found[12]) or 0,
    -- How many bytes the channels without messages count for.
    empty = tonumber(found[13]) or 0,
  }
end

local function save(life)
  redis.call('HSET', STATE, 'head', text(life.head), 'floor', text(life.floor),
    'size', text(life.size), 'keys', text(life.keys), 'time', string.format('%.6f', life.now),
    'block', life.block and text(life.block) or '', 'cleaned', text(life.cleaned),
    'stale', text(life.stale), 'dirty', life.isDirty and '1' or '0',
    'reserved', text(life.reserved), 'members', text(life.members),
    'empty', text(life.empty))
end

-- Tell all nodes that the head has moved.
local function announce(life, before)
  redis.call('PUBLISH', TOPIC_PREFIX .. 'head',
    life.epoch .. ' ' .. text(before) .. ' ' .. text(life.head))
end

-- Begin a log where there is none, or where the epoch was removed or is not ours.
local function begin(epoch)
  local found = redis.call('HMGET', STATE, 'head', 'floor', 'size', 'reserved', 'members',
    'empty')
  local newest = redis.call('ZREVRANGE', PREFIX .. 'heads', 0, 0, 'WITHSCORES')
  local head = math.max(whole(found[1]) or 0, whole(newest[2]) or 0)
  local life = {
    epoch = epoch,
    head = head,
    -- If only the state was lost, nothing is known for certain of older
    -- messages.
    floor = math.min(whole(found[2]) or head, head),
    size = tonumber(found[3]) or 0,
    keys = 0,
    now = clock(),
    cleaned = -1,
    stale = 0,
    reserved = tonumber(found[4]) or 0,
    members = tonumber(found[5]) or 0,
    empty = tonumber(found[6]) or 0,
  }
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  redis.call('HSET', STATE, 'form', FORM, 'epoch', epoch, 'run', run or '', 'durable', '0')
  save(life)
  announce(life, head)
  return life
end

-- A body has the time, the event, the encoding and the payload, a line each.
-- Returns the time, the bytes of payload, and the bytes that the message counts
-- for in the channel.
local function measure(body, name)
  local stored, start = string.match(body, '^([^\n]*)\n[^\n]*\n[^\n]*\n()')
  stored = tonumber(stored)
  -- An entry of a foreign writer is as old as can be, and is dropped first.
  if not (stored and stored >= 0 and stored <= 253402300799) then
    stored = 0
  end
  return stored, #body - (start or 1) + 1, #body + #name + MESSAGE_OVERHEAD
end

local function positionOf(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

local FIELDS = {'count', 'bytes', 'size', 'messages', 'seconds', 'limit'}

-- The record of what is held of a channel, or nil if there is none.
local function record(name)
  local found = redis.call('HMGET', PREFIX .. 'c:' .. name, unpack(FIELDS))
  if not found[1] then
    return nil
  end
  local kept = {}
  for index, field in ipairs(FIELDS) do
    kept[field] = tonumber(found[index])
  end
  return kept
end

local function keep(name, kept)
  redis.call('HSET', PREFIX .. 'c:' .. name,
    'count', text(kept.count), 'bytes', text(kept.bytes), 'size', text(kept.size),
    'messages', text(kept.messages), 'seconds', string.format('%.6f', kept.seconds),
    'limit', text(kept.limit))
end

-- How many segments of a name are in the index of names.
local MOST_SEGMENTS = 8

-- What the index of names has of a channel, as arguments of ZADD: the name; and
-- for each segment but the first its number and the segment, which patterns such
-- as */x begin with, and then the name.  No name begins with a control character.
local function entriesOf(name)
  local entries, number = {0, name}, 0
  for segment in string.gmatch(name, '[^/]+') do
    number = number + 1
    if number > MOST_SEGMENTS then
      break
    elseif number > 1 then
      entries[#entries + 1] = 0
      entries[#entries + 1] = '\1' .. number .. '/' .. segment .. '/' .. name
    end
  end
  return entries
end

-- How many bytes a record counts for, without messages.
local function recordSize(name)
  local further = #entriesOf(name) / 2 - 1
  return CHANNEL_OVERHEAD + #name + further * (SEGMENT_OVERHEAD + #name)
end

-- Whether a channel is one of the server's own: a segment of it begins with $.
local function isReserved(name)
  return string.sub(name, 1, 1) == '$' or string.find(name, '/$', 1, true) ~= nil
end

local function accountOf(name)
  return PREFIX .. (isReserved(name) and 'reserved' or 'others')
end

-- Count bytes of the messages of a channel; below 0 if they are dropped.
local function countBytes(life, name, size)
  life.size = math.max(0, life.size + size)
  if isReserved(name) then
    life.reserved = math.max(0, life.reserved + size)
  end
end

-- Note that a channel has messages now, of which the first is at a position.
local function enterAccount(life, name, position)
  redis.call('ZADD', accountOf(name), position, name)
  if isReserved(name) then
    life.reserved = life.reserved + recordSize(name)
  end
end

-- Note that a channel has no messages any more.
local function leaveAccount(life, name)
  if redis.call('ZREM', accountOf(name), name) == 1 and isReserved(name) then
    life.reserved = math.max(0, life.reserved - recordSize(name))
  end
end

-- Note that a channel is only known for its floor, with the position of its newest
-- message; or that it is so no more.
local function enterEmpty(life, name, head)
  if redis.call('ZADD', PREFIX .. 'empty', head, name) == 1 then
    life.empty = life.empty + recordSize(name)
  end
end

local function leaveEmpty(life, name)
  if redis.call('ZREM', PREFIX .. 'empty', name) == 1 then
    life.empty = math.max(0, life.empty - recordSize(name))
  end
end

-- Note that messages were dropped, which are still in the index of positions.
local function noteDropped(life, count)
  if count > 0 then
    life.stale, life.isDirty = life.stale + count, true
  end
end

-- Drop all messages of a channel, which is only known for its floor from then on.
local function clear(life, name, kept)
  local head = redis.call('ZSCORE', PREFIX .. 'heads', name)
  countBytes(life, name, -kept.size)
  leaveAccount(life, name)
  noteDropped(life, kept.count)
  kept.count, kept.bytes, kept.size = 0, 0, 0
  redis.call('DEL', PREFIX .. 's:' .. name)
  redis.call('ZREM', PREFIX .. 'oldest', name)
  redis.call('ZREM', PREFIX .. 'due', name)
  redis.call('ZADD', PREFIX .. 'floors', head, name)
  enterEmpty(life, name, head)
end

-- Drop the oldest messages of a channel: the first few in any case, then those
-- that are too many, too large or too old, but no more than most.  The record
-- is changed, but not saved.  Returns how many were dropped, and when the
-- oldest of the rest was stored.
local function shed(life, name, kept, few, most)
  local stream = PREFIX .. 's:' .. name
  local gone, floor, from = 0, nil, '-'
  while kept.count > 0 do
    local reading = math.max(4, math.min(kept.count - kept.messages + 1, most - gone + 1, 32))
    local page = redis.call('XRANGE', stream, from, '+', 'COUNT', reading)
    if #page == 0 then
      break
    end
    for _, entry in ipairs(page) do
      local position = positionOf(entry)
      local stored, payload, size = measure(entry[2][2], name)
      local isWanted = gone >= few and kept.count <= kept.messages
        and kept.bytes <= kept.limit and stored + kept.seconds > life.now
      if isWanted or gone >= most then
        if floor then
          redis.call('XTRIM', stream, 'MINID', '=', entry[1])
          redis.call('ZADD', PREFIX .. 'floors', text(floor), name)
          redis.call('ZADD', PREFIX .. 'oldest', text(position), name)
        end
        return gone, stored
      end
      gone, floor = gone + 1, position
      noteDropped(life, 1)
      kept.count, kept.bytes = kept.count - 1, kept.bytes - payload
      kept.size = kept.size - size
      countBytes(life, name, -size)
      from = '(' .. entry[1]
    end
  end
  -- All messages were dropped, or were gone already, regardless of the record.
  clear(life, name, kept)
  return gone, nil
end

-- Forget a channel without messages, with its floor.  The floor of all channels
-- without a record rises to its newest message.
local function forgetRecord(life, name)
  local head = tonumber(redis.call('ZSCORE', PREFIX .. 'heads', name)) or 0
  life.floor = math.max(life.floor, head)
  life.size = math.max(0, life.size - recordSize(name))
  redis.call('DEL', PREFIX .. 'c:' .. name)
  redis.call('ZREM', PREFIX .. 'heads', name)
  redis.call('ZREM', PREFIX .. 'floors', name)
  leaveEmpty(life, name)
  local entries = entriesOf(name)
  for index = 2, #entries, 2 do
    redis.call('ZREM', PREFIX .. 'names', entries[index])
  end
end

-- Whether the records without messages are too many, or take too much.
local function isExcess(life, total)
  return redis.call('ZCARD', PREFIX .. 'empty') > total / (FLOORS_PART * CHANNEL_OVERHEAD)
    or life.empty * NAMED_FLOORS_PART > total
end

-- Forget the record without messages whose newest message is the oldest.  Returns
-- whether there was one.
local function forgetOne(life)
  local name = redis.call('ZRANGE', PREFIX .. 'empty', 0, 0)[1]
  if name then
    forgetRecord(life, name)
  else
    life.empty = 0
  end
  return name
end

-- Forget records without messages until they are few enough, beginning with the
-- oldest newest message.
local function forgetStalest(life, total, most)
  local left = most
  while left > 0 and isExcess(life, total) and forgetOne(life) do
    left = left - 1
  end
end

-- The channel of an account that has the oldest message, or nil if there is none.  Takes
-- no more than a number of steps.  Returns how many are left, too.
local function withOldest(account, left)
  local set = PREFIX .. account
  while left > 0 do
    left = left - 1
    local found = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    local name = found[1]
    if not name then
      return nil, left
    end
    local oldest = redis.call('ZSCORE', PREFIX .. 'oldest', name)
    if not oldest then
      redis.call('ZREM', set, name)
    elseif oldest == found[2] then
      return name, left
    else
      redis.call('ZADD', set, oldest, name)
    end
  end
  return nil, 0
end

-- Drop the oldest messages of an account while isWanted() tells so, and there are steps
-- left.  Returns how many are.
local function dropOldest(life, account, left, isWanted)
  while left > 0 and isWanted() do
    local name
    name, left = withOldest(account, left)
    if not name then
      break
    end
    local kept = record(name)
    if kept then
      shed(life, name, kept, 1, 1)
      keep(name, kept)
    else
      redis.call('ZREM', PREFIX .. 'oldest', name)
      redis.call('ZREM', PREFIX .. account, name)
    end
  end
  return left
end

-- Drop messages until the total is within its limit: the oldest of the server's own
-- channels while these take more than their part, then the oldest of all others.  What
-- channels without messages take goes last.  Also forget those until they are few
-- enough.  Returns whether there is more to drop.
local function evict(life, total, most)
  local isReservedFull = function()
    return life.size > total and life.reserved * RESERVED_PART > total
  end
  local isFull = function()
    return life.size > total
  end
  local left = most
  if isFull() then
    left = dropOldest(life, 'reserved', left, isReservedFull)
    left = dropOldest(life, 'others', left, isFull)
    while left > 0 and isFull() and forgetOne(life) do
      left = left - 1
    end
  end
  forgetStalest(life, total, most)
  return left == 0 and life.size > total or isExcess(life, total)
end

-- Whether a message should have been dropped half a second ago.  Reading waits
-- until it is.
local function isOverdue(life)
  return #redis.call('ZRANGEBYSCORE', PREFIX .. 'due', '-inf',
    string.format('%.6f', life.now - 0.5), 'LIMIT', 0, 1) > 0
end

-- The highest floor of a channel.
local function highestFloor()
  return tonumber(redis.call('ZREVRANGE', PREFIX .. 'floors', 0, 0, 'WITHSCORES')[2] or 0)
end

-- The scores of some channels in a set, false for those that are not in it.
local function scoresOf(set, names)
  return #names > 0 and redis.call('ZMSCORE', PREFIX .. set, unpack(names)) or {}
end

-- Load the state of the log for a script that only reads; or return nil, and the
-- answer that the script has to give.  Unless isForced is '1', reading has to
-- wait while messages are overdue to be dropped.
local function loadToRead(isForced)
  local life = load()
  if not life then
    return nil, {'NONE'}
  end
  if isForced ~= '1' and isOverdue(life) then
    return nil, {'OVERDUE'}
  end
  return life
end
