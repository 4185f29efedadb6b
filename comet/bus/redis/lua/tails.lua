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
  reply[#reply + 1] = beforeLast(ARGV[index], tonumber(ARGV[index + 1]), ARGV[2]) or -1
end
return reply
