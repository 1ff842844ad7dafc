#include "server/store/redis_lua.h"

namespace dropoutd {

const char kLuaSnapshotBegin[] = R"lua(
local d, stub, id = KEYS[1], KEYS[2], ARGV[1]
local time = now()
local head = redis.call('HMGET', d, 't', 'i', 'e', 'q', 's', 'g')
if not head[2] or has_ended(d, head[3], time) then
  if is_old(stub) then return {'old', time} end
  return {'none', time}
end
if head[4] then return {'bad', time} end
local base = base_of(d, head[2])
local packed, slot = '', nil
local taken = {}
for _, each in ipairs(snapshots_of(head[5], base)) do
  packed = packed .. each.slot .. each.id
  taken[each.slot] = true
end
for i = 0, 7 do
  if not taken[tostring(i)] then slot = slot or tostring(i) end
end
if not slot then return {'busy', time} end
redis.call('UNLINK', base .. 's' .. slot)
redis.call('UNLINK', base .. 'z' .. slot)
redis.call('HSET', base .. 's' .. slot, 'id', id)
redis.call('PEXPIRE', base .. 's' .. slot, SNAPSHOT_MS)
redis.call('HSET', d, 's', packed .. slot .. id)
local parts, all = {}, redis.call('HGETALL', d)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == 'p' then
    parts[#parts + 1] = string.sub(all[i], 2)
    parts[#parts + 1] = all[i + 1]
  end
end
return {'ok', time, head[2], head[1], tonumber(head[3]) - time, 1, head[6] or NONE, parts, {}, slot}
)lua";

// What was set aside stands in place of what there is now.
const char kLuaSnapshotNext[] = R"lua(
local f, n, s, z = unpack(KEYS)
local first, limit, most_bytes = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = now()
if redis.call('HGET', s, 'id') ~= ARGV[1] then return {'gone', time} end
redis.call('PEXPIRE', s, SNAPSHOT_MS)
redis.call('PEXPIRE', z, SNAPSHOT_MS + 1000)
for _, each in ipairs({f, n}) do
  local left = redis.call('PTTL', each)
  if left >= 0 and left < SNAPSHOT_MS + 10000 then
    redis.call('PEXPIRE', each, SNAPSHOT_MS + 10000)
  end
end

-- Names with their values, and the last name if there may be more.
local function some(names, value_of)
  local found, bytes = {}, 0
  for _, name in ipairs(names) do
    local value = value_of(name)
    if value and value ~= '' then
      found[#found + 1] = name
      found[#found + 1] = value
      bytes = bytes + #name + #value
    end
    if bytes >= most_bytes then return found, name end
  end
  return found, #names >= limit and names[#names] or false
end

local here = redis.call('ZRANGEBYLEX', n, first, '+', 'LIMIT', 0, limit)
local found, last = some(here, function(name)
  if redis.call('HEXISTS', s, 'n' .. name) == 1 then return nil end
  return redis.call('HGET', f, name)
end)
local aside = redis.call('ZRANGEBYLEX', z, first, '+', 'LIMIT', 0, limit)
local kept, last_kept = some(aside, function(name) return redis.call('HGET', s, 'n' .. name) end)
return {'ok', time, last and 1 or 0, last or '', last_kept and 1 or 0, last_kept or '', found, kept}
)lua";

const char kLuaSnapshotEnd[] = R"lua(
local d, s, z, id = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
if redis.call('HGET', s, 'id') ~= id then return {'gone', now()} end
local head = redis.call('HMGET', d, 'i', 's')
redis.call('UNLINK', s)
redis.call('UNLINK', z)
if head[1] == ARGV[2] then
  local packed = ''
  for _, each in ipairs(snapshots_of(head[2], string.sub(s, 1, -3))) do
    packed = packed .. each.slot .. each.id
  end
  if packed == '' then
    redis.call('HDEL', d, 's')
  else
    redis.call('HSET', d, 's', packed)
  end
end
return {'ok', now()}
)lua";

}  // namespace dropoutd
