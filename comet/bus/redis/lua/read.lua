-- Read the log of some channels, in the order of positions.
--
-- ARGV: the topic prefix; 1 to answer even if messages are overdue to be
-- dropped; the epoch and position of the cursor to read after; how many
-- messages at most; after how many bytes of payload to stop; the last position
-- to read, or '' for the head; and the channels.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if messages have to be dropped
-- first.  Otherwise 'OK', the epoch, the head, the floor of the bus, the
-- highest floor of all channels, the position that was read after, whether the log does not know the cursor, the
-- position that was reached, whether there is more, how many floors follow, how
-- many names of channels without a record follow; these floors, each after the
-- name of its channel; these names; and for each message the index of its
-- channel (from 0), its position and its body.

local life, refusal = loadToRead(ARGV[2])
if not life then
  return refusal
end

local FIRST = 8
local names = {unpack(ARGV, FIRST)}
local heads, floors, oldest =
  scoresOf('heads', names), scoresOf('floors', names), scoresOf('oldest', names)

local after = tonumber(ARGV[4])
local isLost = ARGV[3] ~= life.epoch or after > life.head
if isLost then
  after = life.head
  for index = 1, #names do
    if oldest[index] then
      after = math.min(after, tonumber(oldest[index]) - 1)
    end
  end
end

local floored, missing = {}, {}
for index, name in ipairs(names) do
  local floor = tonumber(floors[index] or 0)
  if not heads[index] then
    missing[#missing + 1] = name
  elseif isLost or floor > after then
    floored[#floored + 1] = name
    floored[#floored + 1] = floor
  end
end

local stop = life.head
if ARGV[7] ~= '' then
  stop = math.min(stop, tonumber(ARGV[7]))
end
local limit, maxBytes = tonumber(ARGV[5]), tonumber(ARGV[6])

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

for index = 1, #names do
  if heads[index] and tonumber(heads[index]) > after and oldest[index] then
    heap[#heap + 1] = {
      index = index,
      stream = PREFIX .. 's:' .. names[index],
      next = math.max(after + 1, tonumber(oldest[index])),
      page = {},
      at = 1,
      -- One more than most need: fewer than were asked for are the last.  A few at first:
      -- each may be large, and what has no room is read in vain.
      count = math.max(2, math.min(4, math.ceil(limit / #names))),
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
