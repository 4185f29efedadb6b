-- Find where some channels begin, and read them from there.
--
-- ARGV: the topic prefix; 1 to answer even if messages are overdue to be dropped; the epoch
-- and position of the cursor after which to begin, or an empty epoch; how many messages at
-- most; after how many bytes of payload to stop; and for each channel its name, and how many
-- of its last messages are wanted, 0 for all: as far as the log does not know the cursor.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if messages have to be dropped first.
-- Otherwise 'OK' and three lists: what the script find returns, what the script tails
-- returns, and what pageOf() returns.

local life, refusal = loadToRead(ARGV[2])
if not life then
  return refusal
end

local names, counts = {}, {}
for index = 7, #ARGV, 2 do
  names[#names + 1], counts[#counts + 1] = ARGV[index], tonumber(ARGV[index + 1])
end
local known = channelsOf(names)

local after = tonumber(ARGV[4])
local isLost = ARGV[3] ~= life.epoch or after > life.head
local found = {'OK', life.epoch, life.head, life.floor, highestFloor(), isLost and 1 or 0, 1}
local tails = {'OK', life.epoch}
if isLost then
  after = life.head
end
for index, name in ipairs(names) do
  local head, oldest = known.heads[index], known.oldest[index]
  if head then
    local size = #found
    found[size + 1] = name
    found[size + 2] = tonumber(head)
    found[size + 3] = tonumber(known.floors[index] or 0)
    found[size + 4] = tonumber(oldest or 0)
  end
  local start = oldest and tonumber(oldest) - 1
  if counts[index] > 0 then
    start = oldest and beforeLast(name, counts[index], text(life.head))
    tails[#tails + 1] = start or -1
  else
    tails[#tails + 1] = -1
  end
  if isLost and start then
    after = math.min(after, start)
  end
end

return {'OK', found, tails, pageOf(life, known, after, false, life.head, tonumber(ARGV[5]),
  tonumber(ARGV[6]))}
