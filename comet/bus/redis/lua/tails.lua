-- Tell where the last few messages of some channels begin.
--
-- ARGV: the voice; the position up to which there is anything; and of each
-- channel its name, and how many are wanted.
--
-- Returns 'OK', the epoch, and for each channel the position that these come
-- after, or -1 if none is held.

local life = load()
if not life then
  return {'NONE'}
end
local reply = {'OK', life.epoch}
for index = 3, #ARGV, 2 do
  local stream = PREFIX .. 's:' .. ARGV[index]
  local count = math.min(tonumber(ARGV[index + 1]), redis.call('XLEN', stream))
  local found = redis.call('XREVRANGE', stream, ARGV[2], '-', 'COUNT', math.max(count, 1))
  local oldest = found[#found]
  reply[#reply + 1] = oldest and positionOf(oldest) - 1 or -1
end
return reply
