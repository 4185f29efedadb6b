-- The index of positions: the channel of each message, so that a reader of many
-- channels that catches up looks only at the messages that come next.
--
-- A block has a line for each message of some positions that follow one another:
-- the position, a space and the channel.  It begins at its first position and
-- ends before the first one of the next block.
--
-- A dropped message is not searched for when it is dropped, which happens with
-- every message of a full channel.  For each block that becomes full, some blocks
-- are cleaned instead: that one, the oldest, and the next two in turn; and so are
-- some with every sweep.  So there are never more than about twice as many lines
-- as messages.  A small block is joined with the one before it.
--
-- In the state are: block, the first position of the newest block, which is not
-- full; cleaned, that of the block that was cleaned last in turn; stale, how many
-- lines of dropped messages there may be; and dirty, whether any were dropped or
-- found in this turn.

local BLOCK_BYTES = 4096
-- No block has more lines, for each has a position, a name, and two bytes.
local MOST_LINES = BLOCK_BYTES / 4 + 1

local BLOCKS = PREFIX .. 'blocks'

local function keyOf(first)
  return PREFIX .. 'p:' .. first
end

local function removeBlock(first)
  redis.call('DEL', keyOf(first))
  redis.call('ZREM', BLOCKS, first)
end

-- Remove the lines of dropped messages from a block.
local function cleanBlock(life, first)
  local lines = redis.call('GET', keyOf(first)) or ''
  local names, oldest = {}, {}
  for name in string.gmatch(lines, '%d+ ([^\n]*)\n') do
    if not oldest[name] then
      oldest[name] = math.huge
      names[#names + 1] = name
    end
  end
  for index, score in ipairs(scoresOf('oldest', names)) do
    oldest[names[index]] = tonumber(score or math.huge)
  end
  local kept, gone = {}, 0
  for line, position, name in string.gmatch(lines, '((%d+) ([^\n]*)\n)') do
    if tonumber(position) >= oldest[name] then
      kept[#kept + 1] = line
    else
      gone = gone + 1
    end
  end
  life.stale = math.max(0, life.stale - gone)
  life.isDirty = life.isDirty or gone > 0
  local rest = table.concat(kept)
  local isNewest = life.block and first == text(life.block)
  if rest ~= '' and not isNewest then
    local before = redis.call('ZREVRANGEBYSCORE', BLOCKS, '(' .. first, '-inf', 'LIMIT', 0, 1)[1]
    if before and redis.call('STRLEN', keyOf(before)) + #rest <= BLOCK_BYTES then
      redis.call('SET', keyOf(before), (redis.call('GET', keyOf(before)) or '') .. rest)
      rest = ''
    end
  end
  if rest == '' then
    removeBlock(first)
  elseif not isNewest or gone > 0 then
    -- Redis gives a string to which nothing is appended no room for more.
    redis.call('SET', keyOf(first), rest)
  end
end

-- Clean so many blocks in turn, unless there is nothing to clean.
local function cleanBlocks(life, most)
  for _ = 1, most do
    if life.stale == 0 then
      return
    end
    local first = redis.call('ZRANGEBYSCORE', BLOCKS, '(' .. text(life.cleaned), '+inf',
      'LIMIT', 0, 1)[1]
    if first then
      life.cleaned = tonumber(first)
      cleanBlock(life, first)
    else
      -- What was counted is not there: Redis itself removed it.
      if not life.isDirty then
        life.stale = 0
      end
      life.cleaned, life.isDirty = -1, false
    end
  end
end

-- Begin a block at a position.
local function beginBlock(life, position)
  life.block = tonumber(position)
  -- Blocks of later positions are left from a log whose end was lost.
  for _, first in ipairs(redis.call('ZRANGEBYSCORE', BLOCKS, position, '+inf',
      'LIMIT', 0, MOST_LINES)) do
    removeBlock(first)
  end
end

-- The lines of this script that are not written to the newest block yet, how many bytes
-- it has with them or nil while that is not known, and the blocks that this script has
-- filled.
local lines, length, filled = {}, nil, {}

-- Write the lines to the newest block.
local function writeLines(life)
  if #lines == 0 then
    return
  end
  local first, added = text(life.block), table.concat(lines)
  if redis.call('APPEND', keyOf(first), added) == #added then
    redis.call('ZADD', BLOCKS, first, first)
  end
  lines = {}
end

-- Add the newest message.  The caller calls settleIndex() once all are added.
local function indexPosition(life, position, name)
  if not life.block then
    beginBlock(life, position)
    length = 0
  elseif not length then
    length = redis.call('STRLEN', keyOf(text(life.block)))
  end
  local line = position .. ' ' .. name .. '\n'
  lines[#lines + 1], length = line, length + #line
  if length >= BLOCK_BYTES then
    writeLines(life)
    filled[#filled + 1] = text(life.block)
    life.block = nil
  end
end

-- Write what was added, and clean some blocks for each that is full.  Called once all that
-- is displaced was dropped.
local function settleIndex(life)
  writeLines(life)
  for _, first in ipairs(filled) do
    cleanBlock(life, first)
    local oldest = redis.call('ZRANGE', BLOCKS, 0, 0)[1]
    if oldest and life.stale > 0 then
      cleanBlock(life, oldest)
    end
    cleanBlocks(life, 2)
  end
  length, filled = nil, {}
end
