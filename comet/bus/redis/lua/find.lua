-- Tell what there is of some channels, and of those that some patterns match.
--
-- ARGV: the voice; 1 to answer also when something is overdue; the epoch and
-- position to look after; the position to go on after, or '' at first; up to
-- which position, or '' for the head; how many channels at most to look at; how
-- many names; the names of channels; and the patterns, as Lua's, two a pattern:
-- what it is, and 1 where what it captures is any number of segments.
--
-- Only channels whose newest message is after the position are looked at.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if something has to go first.
-- Otherwise 'OK', the epoch, the head, the floor of the bus, whether the
-- position is lost, where to go on after (or -1); and for each channel with a
-- record its name, its newest position, its floor and its oldest position (or
-- 0).

local life = load()
if not life then
  return {'NONE'}
end
if ARGV[2] ~= '1' and isOverdue(life) then
  return {'OVERDUE'}
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
