-- Taking over a log of the form before this one.

-- The form that knew neither what the server's own channels hold, nor what channels
-- without messages take, nor how many members there are.
local FORM_BEFORE = '4'

local function upgrade()
  local reserved, empty, members = 0, 0, 0
  local found = redis.call('ZRANGE', PREFIX .. 'oldest', 0, -1, 'WITHSCORES')
  for index = 1, #found, 2 do
    local name = found[index]
    redis.call('ZADD', accountOf(name), found[index + 1], name)
    if isReserved(name) then
      local kept = record(name)
      reserved = reserved + recordSize(name) + (kept and kept.size or 0)
    end
  end
  for _, name in ipairs(redis.call('ZRANGE', PREFIX .. 'empty', 0, -1)) do
    empty = empty + recordSize(name)
  end
  for _, channel in ipairs(redis.call('HKEYS', PREFIX .. 'changed')) do
    members = members + redis.call('ZCARD', PREFIX .. 'members:' .. channel)
  end
  redis.call('HSET', STATE, 'form', FORM, 'reserved', text(reserved), 'empty', text(empty),
    'members', text(members))
end
