-- Let a node join the log, and check from time to time that the log is still
-- the same.
--
-- ARGV: the topic prefix; the epoch to begin if one must begin; the run of this
-- Redis; whether this run is proved to have lost nothing of the run before;
-- whether it loses nothing from now on; the epoch and position that the node
-- knows; and the digest of what the node is configured with, its name, and what
-- it is configured with.
--
-- Returns 'OK', the epoch, the head, and why a new epoch begins ('new', 'restart',
-- 'behind', or '' if none begins); and for each other configuration of a running
-- node its digest, the name of a node that has it, and its text.  Or 'FORM' and a
-- number, if another version of comet has written here.

-- How old an entry of the settings is when it is renewed, and when it is dropped,
-- in seconds; and how many there are at most.
local RENEWED, DROPPED, MOST_SETTINGS = 5, 15, 8

local form = redis.call('HGET', STATE, 'form')
if form == FORM_BEFORE then
  upgrade()
elseif form and form ~= FORM then
  return {'FORM', form}
end
local life = load()
local why = ''
local run, durable = unpack(redis.call('HMGET', STATE, 'run', 'durable'))
if not life then
  life = begin(ARGV[2])
  why = 'new'
else
  if run ~= ARGV[3] and not (durable == '1' and ARGV[4] == '1') then
    why = 'restart'
  end
  -- Messages that a node was told of are not there any more.
  if life.epoch == ARGV[6] and life.head < tonumber(ARGV[7]) then
    why = 'behind'
  end
  if why ~= '' then
    life.epoch = ARGV[2]
    redis.call('HSET', STATE, 'epoch', life.epoch)
    announce(life, life.head)
  end
end
if run ~= ARGV[3] or durable ~= ARGV[5] then
  redis.call('HSET', STATE, 'run', ARGV[3], 'durable', ARGV[5])
end

local reply = {'OK', life.epoch, life.head, why}
local key, own = PREFIX .. 'settings', ARGV[8]
local count, oldest, since = 0, nil, math.huge
local found = redis.call('HGETALL', key)
for index = 1, #found, 2 do
  local digest = found[index]
  local time, node, text = string.match(found[index + 1], '^([^\n]*)\n([^\n]*)\n(.*)$')
  time = tonumber(time) or 0
  if time > life.now + DROPPED then
    -- No node has written this.
    time = 0
  end
  if digest == own then
    if time > life.now - RENEWED then
      own = nil
    end
  elseif time <= life.now - DROPPED then
    redis.call('HDEL', key, digest)
  else
    count = count + 1
    if time < since then
      oldest, since = digest, time
    end
    for _, item in ipairs({digest, node, text}) do
      reply[#reply + 1] = item
    end
  end
end
if count >= MOST_SETTINGS then
  redis.call('HDEL', key, oldest)
end
if own then
  redis.call('HSET', key, own, string.format('%.6f', life.now) .. '\n' .. ARGV[9] .. '\n' .. ARGV[10])
end
return reply
