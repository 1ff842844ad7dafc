#include "server/store/redis_lua.h"

namespace dropoutd {

const char kLuaQuery[] = R"lua(
local d, stub = KEYS[1], KEYS[3]
local key, known, ttl = ARGV[1], ARGV[2], ARGV[3]
local time = now()
local head = redis.call('HMGET', d, 't', 'i', 'e', 'q', 'c', 'g', 'b')
if not head[2] or has_ended(d, head[3], time) then
  if is_old(stub) then return {'old', time} end
  return {'none', time}
end
if head[4] then return {'bad', time} end
local s = {d = d, base = base_of(d, head[2]), key = key, expiry = KEYS[2], stub = stub,
           e = tonumber(head[3]), b = tonumber(head[7] or 0)}
local count = tonumber(head[5] or 0)

-- The names of the parts that have changed since `known`, or nil.
local function changed()
  if known == head[1] then return {} end
  if known == NONE or count == 0 then return nil end
  local logged = {}
  for i = count, math.max(1, count - 63), -1 do logged[#logged + 1] = 'l' .. i end
  local seen, names = {}, {}
  for _, entry in ipairs(redis.call('HMGET', d, unpack(logged))) do
    if not entry then return nil end
    if string.sub(entry, 1, 16) == known then return names end
    local at = string.find(entry, ':', 17, true) + 1
    while at <= #entry do
      if string.sub(entry, at, at) == '*' then return nil end
      local colon = string.find(entry, ':', at, true)
      local size = tonumber(string.sub(entry, at, colon - 1))
      local name = string.sub(entry, colon + 1, colon + size)
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
      at = colon + size + 1
    end
  end
  return nil
end

local parts, names = {}, changed()
if names then
  for _, name in ipairs(names) do
    parts[#parts + 1] = name
    parts[#parts + 1] = redis.call('HGET', d, 'p' .. name) or ''
  end
else
  local all = redis.call('HGETALL', d)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'p' then
      parts[#parts + 1] = string.sub(all[i], 2)
      parts[#parts + 1] = all[i + 1]
    end
  end
end
local fields = {}
for i = 4, #ARGV do fields[#fields + 1] = redis.call('HGET', s.base .. 'f', ARGV[i]) or '' end
renew(s, time, ttl)
return {'ok', time, head[2], head[1], s.e - time, names and 0 or 1, head[6] or NONE, parts, fields}
)lua";

const char kLuaTokens[] = R"lua(
local time = now()
local answer = {'ok', time}
for _, d in ipairs(KEYS) do
  local head = redis.call('HMGET', d, 't', 'i', 'e')
  answer[#answer + 1] = head[2] and not has_ended(d, head[3], time) and head[1] or NONE
end
return answer
)lua";

const char kLuaList[] = R"lua(
local time, limit, found = now(), tonumber(ARGV[3]), {}
for at = 1, #KEYS, 2 do
  local first, taken = ARGV[1], 0
  while taken < limit do
    local some = redis.call('ZRANGEBYLEX', KEYS[at], first, ARGV[2], 'LIMIT', 0, limit)
    if #some == 0 then break end
    for _, key in ipairs(some) do
      local e = redis.call('ZSCORE', KEYS[at + 1], key)
      if taken < limit and e and tonumber(e) > time then
        found[#found + 1] = key
        taken = taken + 1
      end
    end
    first = '(' .. some[#some]
  end
end
return {'ok', time, found}
)lua";

const char kLuaCount[] = R"lua(
local time, tenant, total = now(), 0, 0
for at = 1, #KEYS, 2 do
  local of_tenant, all = sessions_of(KEYS[at], KEYS[at + 1], ARGV[1], ARGV[2], time)
  tenant, total = tenant + of_tenant, total + all
end
return {'ok', time, total, tenant}
)lua";

const char kLuaDue[] = R"lua(
local time = now()
local function ended(expiry)
  return redis.call('ZRANGEBYSCORE', expiry, '-inf', ms(time), 'LIMIT', 0, ARGV[1])
end
if KEYS[2] then
  local old = ended(KEYS[3])
  in_chunks('ZREM', KEYS[2], old)
  in_chunks('ZREM', KEYS[3], old)
end
return {'ok', time, ended(KEYS[1])}
)lua";

const char kLuaCheck[] = R"lua(
redis.call('SET', KEYS[1], 1, 'PX', 1000)
return {'ok', now()}
)lua";

}  // namespace dropoutd
