-- Store some requests, one after the other: all publications of each, or none.
-- Tell all nodes.
--
-- ARGV: the topic prefix; the bytes to hold in all; the bytes that the
-- idempotency keys of one publisher may count for, and those of all; how many
-- channels, and for each its name, and how many messages, seconds and bytes of it
-- may be held; how many requests; for each how many publications; for each of
-- these the numbers of its channels, from 1, with spaces between them, and its text
-- (event, encoding and payload, a line each).  If it has a key, '+' stands behind the
-- numbers; and behind the text stand the digest of the key, its fingerprint, its
-- publisher, the bytes that it counts for, and the order of the channels.
--
-- Returns 'NONE' if there is no log.  Otherwise 'OK', the epoch, whether there is
-- more to drop; and for each request a list: of a request that is refused, 'KEY'
-- and the index of a publication, from 0, whose key was used for another message;
-- else for each publication its first position, or what is remembered of its key:
-- the first position, and the order of the channels at that time.

local life = load()
if not life then
  return {'NONE'}
end
local total = tonumber(ARGV[2])

-- A batch is often for one channel, and says once what that is.
local channels, first = {}, 6
for number = 1, tonumber(ARGV[5]) do
  channels[number] = {name = ARGV[first], messages = tonumber(ARGV[first + 1]),
    seconds = tonumber(ARGV[first + 2]), bytes = tonumber(ARGV[first + 3])}
  first = first + 4
end

-- Read a publication, and look its key up.  Returns it, and where the next one begins.
local function read(at)
  local one = {channels = {}, text = ARGV[at + 1]}
  for number in string.gmatch(ARGV[at], '%d+') do
    one.channels[#one.channels + 1] = channels[tonumber(number)]
  end
  if string.sub(ARGV[at], -1) ~= '+' then
    return one, at + 2
  end
  one.digest, one.print, one.publisher = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  one.size, one.order = tonumber(ARGV[at + 5]), ARGV[at + 6]
  return one, at + 7
end

-- Read a request, and check all its keys before anything of it is written.
-- Returns its publications, where the next request begins, and the index of the
-- first publication whose key was used for another message, or nil.  Of a publication
-- to one channel, without a key, only tells where it stands.
local function check(at)
  local plan, seen, refused = {}, {}, nil
  local count = tonumber(ARGV[at])
  at = at + 1
  for index = 1, count do
    if tonumber(ARGV[at]) then
      plan[index], at = at, at + 2
    else
      local one
      one, at = read(at)
      if one.digest then
        local known = recallKey(life, one.publisher, one.digest, #one.channels)
        local before = seen[one.digest]
        if known then
          before = {print = known.print}
          one.known = known.first .. ' ' .. known.order
        end
        if before and before.print ~= one.print then
          refused = refused or index - 1
        end
        one.before = before
        seen[one.digest] = before or one
      end
      plan[index] = one
    end
  end
  return plan, at, refused
end

local before, stored, grown = life.head, 0, {}
local stamp = string.format('%.6f', life.now)

-- Store the newest message of a channel.
local function storeIn(channel, body)
  store(life, channel.name, channel.messages, channel.seconds, channel.bytes,
    stamp .. '\n' .. body)
  stored = stored + 1
end

-- Store a publication that check() has read, or find out that its key came before.
-- Returns the answer to it.
local function storeOne(one)
  local answer = one.known
  if one.before and not answer then
    -- The same key stands earlier among these publications.
    answer = one.before.known
  end
  if not answer then
    answer = life.head + 1
    for _, channel in ipairs(one.channels) do
      storeIn(channel, one.text)
    end
    if one.digest then
      one.known = text(answer) .. ' ' .. one.order
      rememberKey(life, one.publisher, one.digest, one.print, one.size, text(answer), one.order)
      grown[#grown + 1] = one.publisher
    end
  end
  return answer
end

-- Store the publications of a request.  Returns the answer to each.
local function storeAll(plan)
  local answers = {}
  for index, one in ipairs(plan) do
    if type(one) == 'number' then
      answers[index] = life.head + 1
      storeIn(channels[tonumber(ARGV[one])], ARGV[one + 1])
    else
      answers[index] = storeOne(one)
    end
  end
  return answers
end

local reply, at = {'OK', life.epoch, 0}, first + 1
for number = 1, tonumber(ARGV[first]) do
  local plan, following, refused = check(at)
  at = following
  reply[number + 3] = refused and {'KEY', refused} or storeAll(plan)
end
if stored > 0 then
  settle(life)
  trimKeys(life, grown, tonumber(ARGV[3]), tonumber(ARGV[4]))
  if evict(life, total, 100 + 2 * stored) then
    reply[3] = 1
  end
  save(life)
  announce(life, before)
end
return reply
