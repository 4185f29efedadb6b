-- Tell who is in a channel, in the order of their coming.
--
-- ARGV: the topic prefix; the channel; 1 to begin after a member; this member; how
-- many members to tell of at most; and after how many bytes no more is told.
--
-- Returns 'NONE' if there is no log, 'GONE' if the member is none.  Otherwise 'OK', the
-- epoch, the head, the position of the last message about the channel, how many members
-- it has, how many readers without a name, whether there are more; and for each member
-- its name, and what is known of it.

-- How many members are fetched in one step: what is fetched beyond the bytes is waste.
local TOGETHER = 50

local life = load()
if not life then
  return {'NONE'}
end
local channel, first, limit = ARGV[2], '-inf', tonumber(ARGV[5])
if ARGV[3] == '1' then
  local joined = redis.call('ZSCORE', membersKey(channel), ARGV[4])
  if not joined then
    return {'GONE'}
  end
  first = '(' .. joined
end
local names = redis.call('ZRANGEBYSCORE', membersKey(channel), first, '+inf',
  'LIMIT', 0, limit + 1)
local changed = redis.call('HGET', CHANGED, channel)
  or redis.call('ZSCORE', PREFIX .. 'heads', TELLING .. channel)
local reply = {'OK', life.epoch, life.head, tonumber(changed or 0) or 0,
  redis.call('ZCARD', membersKey(channel)),
  tonumber(redis.call('HGET', ANONYMOUS, channel) or 0) or 0, 0}
local size, most = 0, tonumber(ARGV[6])
if #names > limit then
  names[limit + 1] = nil
  reply[7] = 1
end
for start = 1, #names, TOGETHER do
  if size >= most then
    reply[7] = 1
    break
  end
  local last = math.min(start + TOGETHER - 1, #names)
  local shown = redis.call('HMGET', shownKey(channel), unpack(names, start, last))
  for index = start, last do
    if size >= most then
      reply[7] = 1
      break
    end
    local one = shown[index - start + 1] or ''
    size = size + #one
    reply[#reply + 1] = names[index]
    reply[#reply + 1] = one
  end
end
return reply
