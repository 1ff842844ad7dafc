#include "server/store/redis_lua.h"

namespace dropoutd {

const char kLuaStage[] = R"lua(
local time = now()
local refused = untimely(time, ARGV[3])
if refused then return refused end
if redis.call('HGET', KEYS[1], 'i') == ARGV[2] then return {'made', time} end
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[3], 0, ARGV[i])
end
redis.call('PEXPIRE', KEYS[2], 60000)
redis.call('PEXPIRE', KEYS[3], 60000)
return {'ok', time}
)lua";

const char kLuaEraseRange[] = R"lua(
local d, f, n = KEYS[1], KEYS[2], KEYS[3]
local time = now()
local refused = untimely(time, ARGV[3])
if refused then return refused end
local head = redis.call('HMGET', d, 't', 'i', 'e', 'q', 's')
if head[2] ~= ARGV[2] or tonumber(head[3]) <= time then return {'ok', time, 0} end
if head[4] then return {'bad', time} end
if ARGV[4] ~= '' and ARGV[4] ~= head[1] then return {'ok', time, 0} end
local gone = redis.call('ZLEXCOUNT', n, ARGV[5], ARGV[6]) - tonumber(ARGV[7])
gone = math.min(gone, tonumber(ARGV[8]))
if gone <= 0 then return {'ok', time, 0} end
local base = string.sub(f, 1, -2)
local snapshots = snapshots_of(head[5], base)
local names = redis.call('ZRANGEBYLEX', n, ARGV[5], ARGV[6], 'LIMIT', 0, gone)
if #snapshots > 0 then
  for _, name in ipairs(names) do set_aside(snapshots, name, redis.call('HGET', f, name)) end
end
in_chunks('HDEL', f, names)
in_chunks('ZREM', n, names)
return {'ok', time, #names}
)lua";

// What is left of the session is its tombstone.
const char kLuaRemove[] = R"lua(
local d, key, incarnation, token = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = now()
local refused = untimely(time, ARGV[4])
if refused then return refused end
local head = redis.call('HMGET', d, 't', 'i', 'e', 's', 'q')
if head[1] == token and not head[2] then
  redis.call('HSET', d, 't', token)
  return {'ok', time, token}
end
-- One that is set aside cannot be asked for its incarnation: none stands for it.
local is_meant = head[2] == incarnation or (head[5] and incarnation == NONE)
if not head[2] or not is_meant or has_ended(d, head[3], time) then return {'absent', time} end
free_fields(base_of(d, head[2]), head[4])
local left = {}
for _, each in ipairs(redis.call('HKEYS', d)) do
  if each ~= 't' then left[#left + 1] = each end
end
redis.call('HSET', d, 't', token)
in_chunks('HDEL', d, left)
redis.call('PEXPIRE', d, TOMBSTONE_MS)
redis.call('ZREM', KEYS[5], key)
redis.call('ZREM', KEYS[6], key)
if KEYS[7] then redis.call('UNLINK', KEYS[7]) end
return {'ok', time, token}
)lua";

// The token goes too, so that no server answers from its copy.
const char kLuaSetAside[] = R"lua(
local head = redis.call('HMGET', KEYS[1], 't', 'i')
if head[1] == ARGV[2] and head[2] == ARGV[1] then
  redis.call('HSET', KEYS[1], 'q', 1, 't', ARGV[3])
end
return {'ok', now()}
)lua";

// An ended session keeps its tokens for as long as a late write may come.
const char kLuaSweep[] = R"lua(
local d, keys, expiry, stub, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1]
local time = now()
local head = redis.call('HMGET', d, 't', 'i', 'e', 's', 'g')
if head[2] and not has_ended(d, head[3], time) then
  redis.call('ZADD', expiry, head[3], key)
  return {'ok', time}
end
redis.call('ZREM', expiry, key)
redis.call('ZREM', keys, key)
if not head[2] then return {'ok', time} end
free_fields(base_of(d, head[2]), head[4])
local left = {}
for _, each in ipairs(redis.call('HKEYS', d)) do
  local kind = string.sub(each, 1, 1)
  if kind == 'p' or kind == 'q' or kind == 's' then left[#left + 1] = each end
end
in_chunks('HDEL', d, left)
redis.call('PEXPIREAT', d, ms(math.abs(tonumber(head[3])) + TOMBSTONE_MS))
if stub then redis.call('UNLINK', stub) end
return {'ok', time}
)lua";

// RENAME, whatever their size. The old key goes on as the stub that turns old servers away.
const char kLuaMove[] = R"lua(
local d, f, n, stub, old_f, old_n, keys, expiry, old_keys, old_expiry = unpack(KEYS)
local key, incarnation, token = ARGV[1], ARGV[2], ARGV[3]
local time = now()
local head = redis.call('HMGET', d, 'i', 'e')
if head[1] and tonumber(head[2]) > time then return {'ok', time} end
local old = redis.call('HMGET', stub, 'v', 'doc', 'e', 'q', 's')
if not old[1] or old[5] then return {'none', time} end
local left = redis.call('HKEYS', d)
in_chunks('HDEL', d, left)
redis.call('HSET', d, 't', token, 'i', incarnation, 'g', token, 'c', 0, 'e', old[3], 'b', old[3],
           'pdocument', old[2] or '')
if old[4] then redis.call('HSET', d, 'q', 1) end
if redis.call('EXISTS', old_f) == 1 then redis.call('RENAME', old_f, f) end
if redis.call('EXISTS', old_n) == 1 then redis.call('RENAME', old_n, n) end
redis.call('PEXPIREAT', d, old[3])
redis.call('HSET', stub, 's', 1, 'v', string.format('%.0f', tonumber(old[1]) + 1), 'doc', ARGV[4])
redis.call('HDEL', stub, 'q')
redis.call('ZADD', keys, 0, key)
redis.call('ZADD', expiry, old[3], key)
redis.call('ZREM', old_keys, key)
redis.call('ZREM', old_expiry, key)
return {'ok', time}
)lua";

}  // namespace dropoutd
