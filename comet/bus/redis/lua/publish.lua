-- Store some requests, one after the other: all publications of each, or none.
-- Tell all nodes.
--
-- ARGV: the topic prefix; the bytes to hold in all; the bytes that the
-- idempotency keys of one publisher may count for, and those of all; how many
-- requests; for each how many publications; for each of these the digest of its
-- key or '', its fingerprint, its publisher, the bytes that the key counts for,
-- the order of its channels, its text (event, encoding and payload, a line each),
-- how many channels; and for each channel its name, and how many messages,
-- seconds and bytes of it may be held.
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

-- Read a request, and check all its keys before anything of it is written.
-- Returns its publications, where the next request begins, and the index of the
-- first publication whose key was used for another message, or nil.
local function check(at)
  local plan, seen, refused = {}, {}, nil
  local count = tonumber(ARGV[at])
  at = at + 1
  for index = 1, count do
    local one = {digest = ARGV[at], print = ARGV[at + 1], publisher = ARGV[at + 2],
      size = tonumber(ARGV[at + 3]), order = ARGV[at + 4], text = ARGV[at + 5],
      channels = tonumber(ARGV[at + 6]), first = at + 7}
    at = one.first + 4 * one.channels
    if one.digest ~= '' then
      local known = recallKey(life, one.publisher, one.digest, one.channels)
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
  return plan, at, refused
end

local before, stored, grown = life.head, 0, {}
local stamp = string.format('%.6f', life.now)

-- Store the publications of a request.  Returns the answer to each.
local function storeAll(plan)
  local answers = {}
  for index, one in ipairs(plan) do
    local answer = one.known
    if one.before and not answer then
      -- The same key stands earlier among these publications.
      answer = one.before.known
    end
    if not answer then
      answer = life.head + 1
      for channel = 0, one.channels - 1 do
        local item = one.first + 4 * channel
        store(life, ARGV[item], tonumber(ARGV[item + 1]), tonumber(ARGV[item + 2]),
          tonumber(ARGV[item + 3]), stamp .. '\n' .. one.text)
        stored = stored + 1
      end
      if one.digest ~= '' then
        one.known = text(answer) .. ' ' .. one.order
        rememberKey(life, one.publisher, one.digest, one.print, one.size, text(answer), one.order)
        grown[#grown + 1] = one.publisher
      end
    end
    answers[index] = answer
  end
  return answers
end

local reply, at = {'OK', life.epoch, 0}, 6
for number = 1, tonumber(ARGV[5]) do
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
