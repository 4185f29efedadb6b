-- Find the positions just before the last few messages of some channels.
--
-- ARGV: the topic prefix; the last position to look at; and for each channel
-- its name, and how many messages are wanted.
--
-- Returns 'OK', the epoch, and for each channel the position, or -1 if no
-- message is held.

local life = load()
if not life then
  return {'NONE'}
end
local reply = {'OK', life.epoch}
for index = 3, #ARGV, 2 do
  local stream = PREFIX .. 's:' .. ARGV[index]
  local count, held = tonumber(ARGV[index + 1]), redis.call('XLEN', stream)
  local found
  if count >= held then
    found = redis.call('XRANGE', stream, '-', ARGV[2], 'COUNT', 1)
  else
    found = redis.call('XREVRANGE', stream, ARGV[2], '-', 'COUNT', count)
  end
  local oldest = found[#found]
  reply[#reply + 1] = oldest and positionOf(oldest) - 1 or -1
end
return reply
