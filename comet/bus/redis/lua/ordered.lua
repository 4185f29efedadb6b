-- Tell the channels of a set in the order of their positions there.
--
-- ARGV: the topic prefix; 'floors', 'oldest' or 'heads'; the first and the last
-- position, as ZRANGE takes them, the greater one first to go down; how many
-- channels to look at, at most; 1 to leave out channels without messages.
--
-- Returns 'NONE' if there is no log.  Otherwise 'OK', the epoch, the head, the
-- floor of the bus, the position after which to go on (or -1); and each channel
-- with its position.

local life = load()
if not life then
  return {'NONE'}
end
local most = tonumber(ARGV[5])
local found
if ARGV[2] == 'oldest' then
  found = redis.call('ZRANGE', PREFIX .. ARGV[2], ARGV[3], ARGV[4], 'BYSCORE',
    'LIMIT', 0, most, 'WITHSCORES')
else
  found = redis.call('ZRANGE', PREFIX .. ARGV[2], ARGV[3], ARGV[4], 'BYSCORE', 'REV',
    'LIMIT', 0, most, 'WITHSCORES')
end
local names = {}
for index = 1, #found, 2 do
  names[#names + 1] = found[index]
end
local held = ARGV[6] == '1' and scoresOf('oldest', names)
local reply = {'OK', life.epoch, life.head, life.floor,
  #names == most and tonumber(found[#found]) or -1}
for index, name in ipairs(names) do
  if not held or held[index] then
    reply[#reply + 1] = name
    reply[#reply + 1] = tonumber(found[2 * index])
  end
end
return reply
