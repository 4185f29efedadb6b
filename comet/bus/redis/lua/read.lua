-- Read the log of some channels, in the order of positions.
--
-- ARGV: the topic prefix; 1 to answer even if messages are overdue to be
-- dropped; the epoch and position of the cursor to read after; how many
-- messages at most; after how many bytes of payload to stop; the last position
-- to read, or '' for the head; and the channels.
--
-- Returns 'NONE' if there is no log, 'OVERDUE' if messages have to be dropped
-- first.  Otherwise what pageOf() returns.

local life, refusal = loadToRead(ARGV[2])
if not life then
  return refusal
end

local FIRST = 8
local known = channelsOf({unpack(ARGV, FIRST)})

local after = tonumber(ARGV[4])
local isLost = ARGV[3] ~= life.epoch or after > life.head
if isLost then
  after = life.head
  for index = 1, #known.names do
    if known.oldest[index] then
      after = math.min(after, tonumber(known.oldest[index]) - 1)
    end
  end
end

local stop = life.head
if ARGV[7] ~= '' then
  stop = math.min(stop, tonumber(ARGV[7]))
end
return pageOf(life, known, after, isLost, stop, tonumber(ARGV[5]), tonumber(ARGV[6]))
