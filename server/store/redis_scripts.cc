#include "server/store/redis_scripts.h"

#include <string>

namespace dropoutd {

namespace {

// `now()`: the time in milliseconds by Redis's own clock. The clocks of servers may differ, so that
// none of them may say when a session of another has ended.
RedisScript WithClock(const char* source) {
  return RedisScript(std::string(R"lua(
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
)lua") + source);
}

}  // namespace

const RedisScripts& Scripts() {
  static const RedisScripts* const scripts = new RedisScripts{
      .commit = WithClock(R"lua(
local d, f, n = KEYS[1], KEYS[2], KEYS[3]
local expected, doc = ARGV[2], ARGV[3]
local head = redis.call('HMGET', d, 'v', 'q')
local version = tonumber(head[1] or 0)
if head[2] then return {'bad'} end
if version == 0 and expected ~= '0' then return {'none'} end
if expected ~= '' and tonumber(expected) ~= version then return {'aborted'} end
local at = 6
for i = 1, tonumber(ARGV[5]) do
  local value = version > 0 and redis.call('HGET', f, ARGV[at]) or false
  if (value or '') ~= ARGV[at + 1] then return {'aborted'} end
  at = at + 2
end
if version == 0 then
  redis.call('DEL', f, n)
  redis.call('ZADD', KEYS[4], 0, ARGV[1])
end
if doc ~= '' then
  version = version + 1
  redis.call('HSET', d, 'v', version, 'doc', doc)
end
local expire
if ARGV[4] ~= '' then
  expire = string.format('%.0f', now() + tonumber(ARGV[4]))
  redis.call('HSET', d, 'e', expire)
  redis.call('ZADD', KEYS[5], expire, ARGV[1])
else
  expire = redis.call('HGET', d, 'e')
end
local wrote = at <= #ARGV
while at <= #ARGV do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', f, ARGV[at])
    redis.call('ZREM', n, ARGV[at])
  else
    redis.call('HSET', f, ARGV[at], ARGV[at + 1])
    redis.call('ZADD', n, 0, ARGV[at])
  end
  at = at + 2
end
if ARGV[4] ~= '' then redis.call('PEXPIREAT', d, expire) end
if ARGV[4] ~= '' or wrote then
  redis.call('PEXPIREAT', f, expire)
  redis.call('PEXPIREAT', n, expire)
end
return {'ok', version}
)lua"),
      .query = WithClock(R"lua(
local d, f, n = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HMGET', d, 'v', 'e', 'q')
if not head[1] then return {'none'} end
if head[3] then return {'bad'} end
local time = now()
local expire = head[2]
if ARGV[3] ~= '' and time + tonumber(ARGV[3]) > tonumber(expire) then
  expire = string.format('%.0f', time + tonumber(ARGV[3]))
  redis.call('HSET', d, 'e', expire)
  redis.call('ZADD', KEYS[4], expire, ARGV[1])
  redis.call('PEXPIREAT', d, expire)
  redis.call('PEXPIREAT', f, expire)
  redis.call('PEXPIREAT', n, expire)
end
local answer = {'ok', head[1], tonumber(expire) - time, ''}
if head[1] ~= ARGV[2] then answer[4] = redis.call('HGET', d, 'doc') or '' end
for i = 4, #ARGV do
  answer[i + 1] = redis.call('HGET', f, ARGV[i]) or ''
end
return answer
)lua"),
      .scan = RedisScript(R"lua(
local head = redis.call('HMGET', KEYS[1], 'v', 'q')
if head[2] then return {'bad'} end
local answer = {'ok'}
if not head[1] then return answer end
for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. ARGV[1], '(' .. ARGV[2],
                                 'LIMIT', 0, ARGV[3])) do
  answer[#answer + 1] = name
  answer[#answer + 1] = redis.call('HGET', KEYS[2], name) or ''
end
return answer
)lua"),
      .erase_range = RedisScript(R"lua(
local d, f, n = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HMGET', d, 'v', 'q')
if head[2] then return -1 end
if not head[1] then return 0 end
local first, last = '[' .. ARGV[1], '(' .. ARGV[2]
local gone = redis.call('ZLEXCOUNT', n, first, last) - tonumber(ARGV[3])
if gone <= 0 then return 0 end
for _, name in ipairs(redis.call('ZRANGEBYLEX', n, first, last, 'LIMIT', 0, gone)) do
  redis.call('HDEL', f, name)
  redis.call('ZREM', n, name)
end
return gone
)lua"),
      .remove = RedisScript(R"lua(
local there = redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return there
)lua"),
      .list = RedisScript(R"lua(
local found, first = {}, ARGV[1]
local limit = tonumber(ARGV[3])
while #found < limit do
  local some = redis.call('ZRANGEBYLEX', KEYS[1], first, ARGV[2], 'LIMIT', 0, limit)
  if #some == 0 then break end
  for _, key in ipairs(some) do
    if #found < limit and redis.call('EXISTS', 'dropout:{' .. key .. '}:d') == 1 then
      found[#found + 1] = key
    end
  end
  first = '(' .. some[#some]
end
return found
)lua"),
      .count = RedisScript("return redis.call('ZCARD', KEYS[1])"),
      .remove_expired = WithClock(R"lua(
local time = now()
local some = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', time),
                        'LIMIT', 0, 1000)
for _, key in ipairs(some) do
  local expire = redis.call('HGET', 'dropout:{' .. key .. '}:d', 'e')
  if not expire or tonumber(expire) <= time then
    redis.call('DEL', 'dropout:{' .. key .. '}:d', 'dropout:{' .. key .. '}:f',
               'dropout:{' .. key .. '}:n')
    redis.call('ZREM', KEYS[1], key)
    redis.call('ZREM', KEYS[2], key)
  else
    redis.call('ZADD', KEYS[2], expire, key)
  end
end
return #some
)lua"),
      .set_aside = RedisScript("return redis.call('HSET', KEYS[1], 'q', 1)"),
      .check = RedisScript("return redis.call('SET', KEYS[1], 1, 'PX', 1000)"),
  };
  return *scripts;
}

}  // namespace dropoutd
