-- Drop all messages of a channel.
--
-- ARGV: the topic prefix; the channel; the bytes to hold in all.

local life = load()
local kept = life and record(ARGV[2])
if kept and kept.count > 0 then
  clear(life, ARGV[2], kept)
  keep(ARGV[2], kept)
  forgetStalest(life, tonumber(ARGV[3]), 100)
  save(life)
end
return {'OK'}
