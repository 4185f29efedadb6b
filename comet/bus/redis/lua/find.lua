-- Find the channels that some names match, and tell what is held of them.
--
-- ARGV: the topic prefix; 1 to answer even if messages are overdue to be
-- dropped; the epoch and position of a cursor; the position after which to go
-- on, or '' to begin; the last position, or '' for the head; how many channels
-- to look at, at most; how many names are channels; these channels; and the
-- patterns, translated for Lua, with two items each: the pattern, and 1 if its
-- capture stands for any number of segments.
--
-- For patterns, only channels whose newest message is after the cursor are
-- looked at.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if messages have to be dropped
-- first.  Otherwise 'OK', the epoch, the head, the floor of the bus, whether
-- the log does not know the cursor, the position after which to go on (or -1);
-- and for each channel with a record its name, its newest position, its floor
-- and its oldest position (or 0).

local life, refusal = loadToRead(ARGV[2])
if not life then
  return refusal
end
local position = tonumber(ARGV[4])
local isLost = ARGV[3] ~= life.epoch or position > life.head
local after = isLost and 0 or position
local reply = {'OK', life.epoch, life.head, life.floor, isLost and 1 or 0, -1}
local heads, floors, oldest = PREFIX .. 'heads', PREFIX .. 'floors', PREFIX .. 'oldest'

local function tell(name, head)
  local size = #reply
  reply[size + 1] = name
  reply[size + 2] = tonumber(head)
  reply[size + 3] = tonumber(redis.call('ZSCORE', floors, name) or 0)
  reply[size + 4] = tonumber(redis.call('ZSCORE', oldest, name) or 0)
end

local last = 8 + tonumber(ARGV[8])
if ARGV[5] == '' then
  for index = 9, last do
    local head = redis.call('ZSCORE', heads, ARGV[index])
    if head then
      tell(ARGV[index], head)
    end
  end
end

local function isReached(name)
  for index = last + 1, #ARGV, 2 do
    local rest = string.match(name, ARGV[index])
    if rest and (ARGV[index + 1] ~= '1'
        or not (string.find(rest, '^%$') or string.find(rest, '/$', 1, true))) then
      return true
    end
  end
  return false
end

if #ARGV > last then
  local most = tonumber(ARGV[7])
  local from = ARGV[5] == '' and text(after) or ARGV[5]
  local upTo = ARGV[6] == '' and text(life.head) or ARGV[6]
  local found = redis.call('ZRANGEBYSCORE', heads, '(' .. from, upTo, 'WITHSCORES',
    'LIMIT', 0, most)
  for index = 1, #found, 2 do
    if isReached(found[index]) then
      tell(found[index], found[index + 1])
    end
  end
  if #found == 2 * most then
    reply[6] = tonumber(found[#found])
  end
end
return reply
