"""What Redis does atomically for a symbol's newest prediction, and for symbols that leave."""

_MAKE_ROOM = """
local function make_room(key, kind)
  local found = redis.call('TYPE', key)['ok']
  if found ~= 'none' and found ~= kind then
    redis.call('DEL', key)
  end
end
"""

# Tells whether a place in the log is not newer than the latest of its symbol and partition, and
# which log that latest lies in. Logs are numbered as they come; a number that none has, since Redis
# has lost the numbers or a stranger wrote it, is that of an old one.
_IS_KNOWN = """
local function is_known(latest, logs, log, partition, offset)
  local known_log = tonumber(redis.call('HGET', latest, 'log') or '')
  if known_log ~= log then
    local is_newer = known_log ~= nil and known_log > log
    return is_newer and known_log <= redis.call('HLEN', logs), known_log
  end
  local known = tonumber(redis.call('HGET', latest, 'at:' .. partition) or '')
  return known ~= nil and known >= offset, known_log
end
"""

# Adds a point to the history, and under the same id to the past, which is thinner. Where that holds
# newer ids, since the history alone was removed and a clock set back, it goes without this point.
_REMEMBER = """
local function remember(history, past, length, past_length, thin, message)
  local id = redis.call('XADD', history, 'MAXLEN', '~', length, '*', 'message', message)
  if thin then
    redis.pcall('XADD', past, 'MAXLEN', '~', past_length, id, 'message', message)
  end
end
"""

# KEYS: latest hash, history stream, set of symbols, channel, hash of logs, past stream.
# ARGV: partition, offset, log, ts_scored_ns, message, symbol, history length, 1 to add to the
# history, seconds to live, past length, 1 to add to the past as well; then offset and message of
# each prediction that the latest passed, for the history and the past alone, in their order.
#
# Newer is what lies later in the log: on a partition, a greater offset. Between partitions there is
# no order but that of arrival. Logs are numbered as they come: a topic that was made anew begins
# with offset 0 again, and what still comes from the one before is old. Keys of a foreign type stand
# in the way and are removed. Offsets are below 2^53, which is as far as Lua's numbers count.
#
# What was passed comes with its latest, in one piece: between the two another process could write
# what lies before both.
#
# Returns 0 where Redis knows it or a newer one, 2 where it had nothing of this symbol, otherwise 1.
WRITE_LATEST = (
    _MAKE_ROOM
    + _IS_KNOWN
    + _REMEMBER
    + """
make_room(KEYS[1], 'hash')
make_room(KEYS[2], 'stream')
make_room(KEYS[3], 'set')
make_room(KEYS[5], 'hash')
make_room(KEYS[6], 'stream')

local log = tonumber(redis.call('HGET', KEYS[5], ARGV[3]) or '')
if not log then
  log = redis.call('HLEN', KEYS[5]) + 1
  redis.call('HSET', KEYS[5], ARGV[3], log)
end
local known, known_log = is_known(KEYS[1], KEYS[5], log, ARGV[1], tonumber(ARGV[2]))
if known then
  -- The set may have been removed without the rest.
  redis.call('SADD', KEYS[3], ARGV[6])
  return 0
end
if known_log ~= log then
  redis.call('DEL', KEYS[1])
end
for at = 12, #ARGV, 2 do
  if not is_known(KEYS[1], KEYS[5], log, ARGV[1], tonumber(ARGV[at])) then
    remember(KEYS[2], KEYS[6], ARGV[7], ARGV[10], true, ARGV[at + 1])
  end
end
redis.call('HSET', KEYS[1], 'log', log, 'at:' .. ARGV[1], ARGV[2], 'ts_scored_ns', ARGV[4],
  'message', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[9])
local is_new = redis.call('SADD', KEYS[3], ARGV[6]) == 1 or not known_log
if ARGV[8] == '1' then
  remember(KEYS[2], KEYS[6], ARGV[7], ARGV[10], ARGV[11] == '1', ARGV[5])
end
redis.call('EXPIRE', KEYS[2], ARGV[9])
redis.call('EXPIRE', KEYS[6], ARGV[9])
redis.call('PUBLISH', KEYS[4], ARGV[5])
return is_new and 2 or 1
"""
)

HAD_NOTHING = 2
"""What :data:`WRITE_LATEST` returns for a symbol that was not there."""

# KEYS: set of symbols. ARGV: what precedes a symbol in the name of its latest hash.
REMOVE_ENDED = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'set' then
  return 0
end
local removed = 0
for _, symbol in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. symbol) == 0 then
    removed = removed + redis.call('SREM', KEYS[1], symbol)
  end
end
return removed
"""

# KEYS: latest hash, history stream, set of symbols. ARGV: partition, offset, symbol.
#
# What was written since, or lies in another partition too, stays.
REMOVE_SYMBOL = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'hash' then
  return 0
end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 3) == 'at:' and field ~= 'at:' .. ARGV[1] then
    return 0
  end
end
if tonumber(redis.call('HGET', KEYS[1], 'at:' .. ARGV[1]) or '') ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
if redis.call('TYPE', KEYS[3])['ok'] == 'set' then
  redis.call('SREM', KEYS[3], ARGV[3])
end
return 1
"""
