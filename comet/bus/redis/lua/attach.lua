-- Let a node join the log, and check from time to time that the log is still
-- the same.
--
-- ARGV: the topic prefix; the epoch to begin if one must begin; the run of this
-- Redis; whether this run is proved to have lost nothing of the run before;
-- whether it loses nothing from now on; the epoch and position that the node
-- knows.
--
-- Returns the epoch and the head; or 'FORM' and a number, if another version of
-- comet has written here.

local form = redis.call('HGET', STATE, 'form')
if form and form ~= FORM then
  return {'FORM', form}
end
local life = load()
local run, durable = unpack(redis.call('HMGET', STATE, 'run', 'durable'))
if not life then
  life = begin(ARGV[2])
else
  local stays = run == ARGV[3] or (durable == '1' and ARGV[4] == '1')
  -- Messages that a node was told of are not there any more.
  if life.epoch == ARGV[6] and life.head < tonumber(ARGV[7]) then
    stays = false
  end
  if not stays then
    life.epoch = ARGV[2]
    redis.call('HSET', STATE, 'epoch', life.epoch)
    announce(life, life.head)
  end
end
if run ~= ARGV[3] or durable ~= ARGV[5] then
  redis.call('HSET', STATE, 'run', ARGV[3], 'durable', ARGV[5])
end
return {'OK', life.epoch, life.head}
