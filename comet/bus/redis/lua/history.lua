-- Read the newest messages of a channel before a position.
--
-- ARGV: the topic prefix; 1 to answer even if messages are overdue to be
-- dropped; the epoch of the cursor, or '' for the head; the position before which to
-- read; how many messages at most; after how many bytes of payload to stop; and the
-- channel.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if messages have to be dropped
-- first.  Otherwise 'OK', the epoch, whether the log does not know the cursor, the
-- floor of the channel, whether there is more; and for each message, newest first, its
-- position and its body.

local life, refusal = loadToRead(ARGV[2])
if not life then
  return refusal
end
local before, limit, maxBytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local name = ARGV[7]
local isLost = ARGV[3] ~= '' and (ARGV[3] ~= life.epoch or before > life.head)
if ARGV[3] == '' then
  before = life.head + 1
end
local names = {name}
local head, floor, oldest =
  scoresOf('heads', names)[1], scoresOf('floors', names)[1], scoresOf('oldest', names)[1]

local reply = {'OK', life.epoch, isLost and 1 or 0, head and tonumber(floor or 0) or life.floor, 0}
local bytes, messages = 0, 0

-- Add messages, and return whether one had no room.
local function add(entries)
  for _, entry in ipairs(entries) do
    local body = entry[2][2]
    local _, payload = measure(body, '')
    if messages > 0 and (messages >= limit or bytes + payload > maxBytes) then
      return true
    end
    messages, bytes = messages + 1, bytes + payload
    before = positionOf(entry)
    reply[#reply + 1] = before
    reply[#reply + 1] = body
  end
  return false
end

if head and oldest and not isLost then
  -- One more than is wanted tells whether there is more.  A few at first: each may be
  -- large, and what has no room is read in vain.
  local count, asked, isFull, entries = math.min(4, limit + 1), 0, false, nil
  repeat
    asked, count = count, math.min(32, count * 2)
    entries = redis.call('XREVRANGE', PREFIX .. 's:' .. name, text(math.max(before - 1, 0)),
      text(tonumber(oldest)), 'COUNT', asked)
    isFull = add(entries)
    if isFull then
      reply[5] = 1
    end
  until isFull or #entries < asked
end
return reply
