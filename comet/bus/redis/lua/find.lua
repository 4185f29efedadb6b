-- Find the channels that some names may match, if these are few, and tell what is
-- held of them.
--
-- ARGV: the topic prefix; 1 to answer even if messages are overdue to be
-- dropped; the epoch and position of a cursor; how many channels of patterns to
-- look at, at most; how many names are channels; these channels; and for each
-- pattern how many texts follow, and these texts: every channel that it matches
-- has an entry in the index of names that begins with the text.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if messages have to be dropped
-- first.  Otherwise 'OK', the epoch, the head, the floor of the bus, the highest
-- floor of all channels, whether the log does not know the cursor, whether the
-- channels of patterns are few; and for each channel with a record its name, its
-- newest position, its floor and its oldest position (or 0).  If the channels of
-- patterns are not few, only those that are named are told.

local life, refusal = loadToRead(ARGV[2])
if not life then
  return refusal
end
local position = tonumber(ARGV[4])
local isLost = ARGV[3] ~= life.epoch or position > life.head
local most = tonumber(ARGV[5])
local last = 6 + tonumber(ARGV[6])

local NAMES = PREFIX .. 'names'

-- The entries that begin with a text, which ends with a slash or is empty.
local function rangeOf(start)
  if start == '' then
    -- No entry of a segment begins with a space, or what is after it.
    return '[ ', '+'
  end
  return '[' .. start, '(' .. string.sub(start, 1, -2) .. '0'
end

-- The text with the fewest entries for each pattern.
local starts, at = {}, last + 1
while ARGV[at] and most >= 0 do
  local count, fewest, best = tonumber(ARGV[at]), math.huge, nil
  for index = at + 1, at + count do
    local number = starts[ARGV[index]] and 0 or redis.call('ZLEXCOUNT', NAMES, rangeOf(ARGV[index]))
    if number < fewest then
      fewest, best = number, ARGV[index]
    end
  end
  starts[best] = true
  most = most - fewest
  at = at + count + 1
end
local isFew = most >= 0

local names, known = {}, {}
local function add(name)
  if not known[name] then
    known[name] = true
    names[#names + 1] = name
  end
end
for index = 7, last do
  add(ARGV[index])
end
if isFew then
  for start in pairs(starts) do
    local from, to = rangeOf(start)
    -- The name follows the text that the entry of a segment begins with.
    local first = string.byte(start) == 1 and #start + 1 or 1
    for _, entry in ipairs(redis.call('ZRANGE', NAMES, from, to, 'BYLEX')) do
      add(string.sub(entry, first))
    end
  end
end

local reply = {'OK', life.epoch, life.head, life.floor, highestFloor(), isLost and 1 or 0,
  isFew and 1 or 0}
for start = 1, #names, 1000 do
  local part = {unpack(names, start, math.min(start + 999, #names))}
  local heads, floors, oldest =
    scoresOf('heads', part), scoresOf('floors', part), scoresOf('oldest', part)
  for index, name in ipairs(part) do
    if heads[index] then
      local size = #reply
      reply[size + 1] = name
      reply[size + 2] = tonumber(heads[index])
      reply[size + 3] = tonumber(floors[index] or 0)
      reply[size + 4] = tonumber(oldest[index] or 0)
    end
  end
end
return reply
