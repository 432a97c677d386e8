"""What Redis does atomically for one symbol's newest prediction."""

# KEYS: latest hash, history stream, set of symbols, channel.
# ARGV: ts_scored_ns, message, symbol, history length, 1 to add to the history.
# Times are compared as text of equal length: Lua's numbers hold 53 bits, nanoseconds need 61.
WRITE_LATEST = """
local known = redis.call('HGET', KEYS[1], 'ts_scored_ns')
if known and (#known > #ARGV[1] or (#known == #ARGV[1] and known >= ARGV[1])) then
  return 0
end
redis.call('HSET', KEYS[1], 'ts_scored_ns', ARGV[1], 'message', ARGV[2])
redis.call('SADD', KEYS[3], ARGV[3])
if ARGV[5] == '1' then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'message', ARGV[2])
end
redis.call('PUBLISH', KEYS[4], ARGV[2])
return 1
"""
