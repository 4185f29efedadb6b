-- Tell which channels have the messages after a position.
--
-- ARGV: the topic prefix; the position; the last position; how many blocks of the
-- index of positions at most.
--
-- Returns 'NONE' if there is no log.  Otherwise 'OK', the epoch, the head, the
-- floor of the bus, the highest floor of all channels, the position up to which
-- this is complete; and blocks: a line for each message, with its position and its
-- channel.  Lines before the position, after the last one, and of messages that
-- were dropped may be among them.

local life = load()
if not life then
  return {'NONE'}
end
local after, last, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local blocks = PREFIX .. 'blocks'
local first = redis.call('ZREVRANGEBYSCORE', blocks, text(after + 1), '-inf', 'LIMIT', 0, 1)[1]
local found = redis.call('ZRANGEBYSCORE', blocks, first or '-inf', text(last),
  'LIMIT', 0, most + 1)
local reply = {'OK', life.epoch, life.head, life.floor, highestFloor(), last}
for index, name in ipairs(found) do
  if index > most then
    reply[6] = tonumber(name) - 1
  else
    reply[index + 6] = redis.call('GET', PREFIX .. 'p:' .. name) or ''
  end
end
return reply
