-- Reading the log of some channels, for the scripts that do.

-- What is known of some channels: their names, and of each its newest position, its floor
-- and its oldest position, or false.
local function channelsOf(names)
  return {names = names, heads = scoresOf('heads', names), floors = scoresOf('floors', names),
    oldest = scoresOf('oldest', names)}
end

-- The position just before the last few messages of a channel up to a position, or nil if
-- no message is held.  upTo: a text.
local function beforeLast(name, count, upTo)
  local stream, found = PREFIX .. 's:' .. name, nil
  if count >= redis.call('XLEN', stream) then
    found = redis.call('XRANGE', stream, '-', upTo, 'COUNT', 1)
  else
    found = redis.call('XREVRANGE', stream, upTo, '-', 'COUNT', count)
  end
  local oldest = found[#found]
  return oldest and positionOf(oldest) - 1
end

-- Read the log of channels that are known, in the order of positions.
--
-- after, stop: the positions after which to begin, and up to which to read.  isLost: whether
-- the log does not know the cursor that was asked for.  limit: how many messages at most.
-- maxBytes: after how many bytes of payload to stop.
--
-- Returns 'OK', the epoch, the head, the floor of the bus, the highest floor of all
-- channels, the position that was read after, whether the log does not know the cursor, the
-- position that was reached, whether there is more, how many floors follow, how many names
-- of channels without a record follow; these floors, each after the name of its channel;
-- these names; and for each message the index of its channel (from 0), its position and its
-- body.
local function pageOf(life, known, after, isLost, stop, limit, maxBytes)
  local floored, missing = {}, {}
  for index, name in ipairs(known.names) do
    local floor = tonumber(known.floors[index] or 0)
    if not known.heads[index] then
      missing[#missing + 1] = name
    elseif isLost or floor > after then
      floored[#floored + 1] = name
      floored[#floored + 1] = floor
    end
  end

  -- A heap of channels: the one with the lowest next message is on top.  While a
  -- channel has not been read, this is the lowest position that is possible.
  local heap = {}

  local function sink(at)
    while true do
      local least, left = at, 2 * at
      if heap[left] and heap[left].next < heap[least].next then
        least = left
      end
      if heap[left + 1] and heap[left + 1].next < heap[least].next then
        least = left + 1
      end
      if least == at then
        return
      end
      heap[at], heap[least] = heap[least], heap[at]
      at = least
    end
  end

  for index = 1, #known.names do
    if known.heads[index] and tonumber(known.heads[index]) > after and known.oldest[index] then
      heap[#heap + 1] = {
        index = index,
        stream = PREFIX .. 's:' .. known.names[index],
        next = math.max(after + 1, tonumber(known.oldest[index])),
        page = {},
        at = 1,
        -- One more than most need: fewer than were asked for are the last.  A few at first:
        -- each may be large, and what has no room is read in vain.
        count = math.max(2, math.min(4, math.ceil(limit / #known.names))),
        asked = 0,
      }
    end
  end
  for at = math.floor(#heap / 2), 1, -1 do
    sink(at)
  end

  -- Go on to the next message of the channel on top.
  local function advance()
    local top = heap[1]
    top.at = top.at + 1
    if top.at > #top.page and #top.page == top.asked then
      top.page = redis.call('XRANGE', top.stream, text(top.next + (top.isRead and 1 or 0)),
        text(stop), 'COUNT', top.count)
      top.at, top.isRead, top.asked, top.count = 1, true, top.count, math.min(128, top.count * 2)
    end
    if top.page[top.at] then
      top.next = positionOf(top.page[top.at])
    else
      heap[1] = heap[#heap]
      heap[#heap] = nil
    end
    if #heap > 1 then
      sink(1)
    end
  end

  local messages, bytes, reached, more = {}, 0, math.max(stop, after), 0
  while #heap > 0 and heap[1].next <= stop do
    local top = heap[1]
    if top.isRead then
      local body = top.page[top.at][2][2]
      local _, payload = measure(body, '')
      local size = #messages
      if size > 0 and (size / 3 >= limit or bytes + payload > maxBytes) then
        more, reached = 1, messages[size - 1]
        break
      end
      messages[size + 1] = top.index - 1
      messages[size + 2] = top.next
      messages[size + 3] = body
      bytes = bytes + payload
    end
    advance()
  end

  local reply = {'OK', life.epoch, life.head, life.floor, highestFloor(), after, isLost and 1 or 0,
    reached, more, #floored / 2, #missing}
  for _, list in ipairs({floored, missing, messages}) do
    for _, item in ipairs(list) do
      reply[#reply + 1] = item
    end
  end
  return reply
end
