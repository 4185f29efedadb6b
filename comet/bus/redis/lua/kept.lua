-- Tell what is kept beside the log (see keep.lua), in the order of the keys.
--
-- ARGV: the topic prefix; the channel of the table; the key after which to begin, or '';
-- how many entries to look at, at most.
--
-- Returns 'NONE' if there is no log.  Otherwise 'OK', the epoch, the head, the key after
-- which to read on or '', and each key with what is kept under it.

-- After how many bytes no more is told.
local MOST_BYTES = 262144

local life = load()
if not life then
  return {'NONE'}
end
local entries, order = PREFIX .. 'k:' .. ARGV[2], PREFIX .. 'ko:' .. ARGV[2]
local due = PREFIX .. 'kd:' .. ARGV[2]
local limit, size = tonumber(ARGV[4]), 0
local from = ARGV[3] == '' and '-' or '(' .. ARGV[3]
local names = redis.call('ZRANGEBYLEX', order, from, '+', 'LIMIT', 0, limit + 1)
local reply = {'OK', life.epoch, life.head, ''}
for index, name in ipairs(names) do
  if index > limit or size >= MOST_BYTES then
    reply[4] = names[index - 1]
    break
  end
  local kept = redis.call('HGET', entries, name)
  local over = tonumber(redis.call('ZSCORE', due, name) or math.huge)
  if over > life.now then
    -- Of a key without a value it is not known what was kept: that is not nothing.
    kept = kept or ''
    size = size + #kept
    reply[#reply + 1] = name
    reply[#reply + 1] = kept
  end
end
return reply
