#include "server/store/redis_lua.h"

namespace dropoutd {

const char kLuaCommit[] = R"lua(
local key, token, incarnation, expected, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[6]
local makes = ARGV[7] == '1'
local time = now()
local refused = untimely(time, ARGV[4])
if refused then return refused end

-- What the arguments name.
local at = 18
local function counted() at = at + 1; return tonumber(ARGV[at - 1]) end
local parts, erases, writes, most_erased, most_fields = {}, {}, {}, 0, ''
if ARGV[7] == 'w' then
  writes[1] = {name = ARGV[8], value = ARGV[9], replaces = ARGV[10]}
else
  most_fields, most_erased = ARGV[16], tonumber(ARGV[17])
  for i = 1, counted() do
    parts[i] = {name = ARGV[at], value = ARGV[at + 1]}
    at = at + 2
  end
  for i = 1, counted() do
    erases[i] = {first = ARGV[at], last = ARGV[at + 1], in_first = ARGV[at + 2],
                 in_last = ARGV[at + 3]}
    at = at + 4
  end
  for i = 1, counted() do
    local flags = ARGV[at + 3]
    writes[i] = {name = ARGV[at], value = ARGV[at + 1], replaces = ARGV[at + 2],
                 removes = string.find(flags, 'r') ~= nil, limited = string.find(flags, 'l') ~= nil,
                 erased = string.find(flags, 'e') ~= nil}
    at = at + 4
  end
end
local renames = makes or #parts > 0 or #erases > 0

-- What there is.
local d, f, n, x = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local head = redis.call('HMGET', d, 't', 'i', 'e', 'q', 's', 'c', 'g', 'b')
local genesis, count = head[7], tonumber(head[6] or 0)
local s = {d = d, base = string.sub(f, 1, -2), key = key, expiry = KEYS[6], stub = KEYS[7],
           e = tonumber(head[3] or 0), b = tonumber(head[8] or 0)}
local live = head[2] and not has_ended(d, head[3], time)
local same = head[2] == incarnation

-- How many fields this change has erased, if it has been made before.
local function made()
  if renames then
    if not same then return nil end
    local names = {}
    for i = math.max(1, count - 63), count do names[#names + 1] = 'l' .. i end
    if #names > 0 then
      for _, entry in ipairs(redis.call('HMGET', d, unpack(names))) do
        if entry and string.sub(entry, 1, 16) == token then
          return tonumber(string.sub(entry, 17, string.find(entry, ':', 17, true) - 1))
        end
      end
    end
    return genesis == token and 0 or nil
  end
  if not (live and same) then return nil end
  for _, write in ipairs(writes) do
    if token_of(redis.call('HGET', f, write.name), genesis) == token then return 0 end
  end
  return nil
end

-- Writes something, for WAIT to wait for.
local function done_before(erased)
  redis.call('HSET', d, 't', head[1])
  if live then renew(s, time, ttl) end
  return {'ok', time, head[1], erased}
end

-- What is not as the change expects it, or nil.
local function refusal()
  if makes then
    if live then return {'conflict', time, head[1], 1} end
    if is_old(s.stub) then return {'old', time} end
    -- One that has ended was removed by its last change.
    local removal = head[1] or NONE
    if expected ~= '' and expected ~= removal then return {'conflict', time, removal, 0} end
  else
    if not (live and same) then return {'absent', time} end
    if head[4] then return {'bad', time} end
    if expected ~= '' and expected ~= head[1] then return {'conflict', time, head[1], 1} end
  end
end
if refusal() or (renames and (makes or expected == '')) then
  local erased = made()
  if erased then return done_before(erased) end
  local answer = refusal()
  if answer then return answer end
end

-- The limits of sessions.
if makes then
  local tenant, total = sessions_of(KEYS[5], KEYS[6], ARGV[8], ARGV[9], time)
  if KEYS[8] then
    local old_tenant, old_total = sessions_of(KEYS[8], KEYS[9], ARGV[8], ARGV[9], time)
    tenant, total = tenant + old_tenant, total + old_total
  end
  tenant, total = tenant + tonumber(ARGV[12]), total + tonumber(ARGV[13])
  if tenant >= tonumber(ARGV[10]) then return {'tenant_full', time, tenant} end
  if total >= tonumber(ARGV[11]) then return {'full_of_sessions', time, total} end
end

-- The fields that are written are as expected.
local free, found = true, {'occupied', time}
for _, write in ipairs(writes) do
  write.before = redis.call('HGET', f, write.name)
  local is, replaces = makes and NONE or token_of(write.before, genesis), write.replaces
  found[#found + 1] = is
  free = free and is == replaces
end
if not free then
  local erased = made()
  if erased then return done_before(erased) end
  return found
end

-- The counts of fields.
local staged = makes and tonumber(ARGV[at + 1]) or 0
if staged > 0 and (redis.call('HLEN', f) < staged or redis.call('ZCARD', n) < staged) then
  return {'staged_lost', time}
end
local erased = 0
for _, each in ipairs(erases) do erased = erased + redis.call('ZLEXCOUNT', n, each.first, each.last) end
if erased > most_erased then return {'too_many', time, erased} end
if most_fields ~= '' then
  local before = redis.call('ZLEXCOUNT', n, ARGV[14], ARGV[15])
  local after, adds = before, makes
  for _, each in ipairs(erases) do
    if each.in_first ~= '' then
      after = after - redis.call('ZLEXCOUNT', n, each.in_first, each.in_last)
    end
  end
  for _, write in ipairs(writes) do
    if write.limited then
      local was = is_live(write.before)
      local stays = was and not write.erased
      if write.removes then
        if stays then after = after - 1 end
      else
        if not stays then after = after + 1 end
        adds = adds or not was
      end
    end
  end
  if adds and after > tonumber(most_fields) then return {'full', time, before} end
end

-- Aside, for who reads a snapshot.
local written, gone = {}, {}
for _, write in ipairs(writes) do written[write.name] = true end
local snapshots = not makes and snapshots_of(head[5], s.base) or {}
for _, each in ipairs(erases) do
  for _, name in ipairs(redis.call('ZRANGEBYLEX', n, each.first, each.last)) do
    if #snapshots > 0 then set_aside(snapshots, name, redis.call('HGET', f, name)) end
    if not written[name] then gone[#gone + 1] = name end
  end
end
for _, write in ipairs(writes) do set_aside(snapshots, write.name, write.before) end

-- The change.
if makes then
  local left = redis.call('HKEYS', d)
  redis.call('HSET', d, 't', token, 'i', incarnation, 'g', token, 'c', 0)
  if head[2] then pcall(free_fields, base_of(d, head[2]), head[5]) end
  local keep, drop = {t = 1, i = 1, g = 1, c = 1}, {}
  for _, each in ipairs(left) do
    if not keep[each] then drop[#drop + 1] = each end
  end
  in_chunks('HDEL', d, drop)
  redis.call('ZADD', KEYS[5], 0, key)
  s.e, s.b, count = 0, 0, 0
  if s.stub then
    redis.call('HSET', s.stub, 's', 1, 'v', 1, 'doc', ARGV[at])
  end
end
local removed, names = 0, {}
for _, write in ipairs(writes) do
  redis.call('HSET', f, write.name, write.value)
  if write.removes then
    removed = redis.call('RPUSH', x, token .. ms(time) .. ':' .. write.name)
    names[#names + 1] = write.name
  else
    redis.call('ZADD', n, 0, write.name)
  end
end
if removed > 0 and removed <= #writes then redis.call('PEXPIREAT', x, ms(s.b)) end
if #writes > 0 and not makes then
  if redis.call('HLEN', f) <= #writes then redis.call('PEXPIREAT', f, ms(s.b)) end
  if redis.call('ZCARD', n) <= #writes then redis.call('PEXPIREAT', n, ms(s.b)) end
end
for _, part in ipairs(parts) do
  if part.value == '' then
    redis.call('HDEL', d, 'p' .. part.name)
  else
    redis.call('HSET', d, 'p' .. part.name, part.value)
  end
end
local is = head[1]
if renames then
  is = token
  local entry = ''
  for _, part in ipairs(parts) do entry = entry .. #part.name .. ':' .. part.name end
  if makes or #entry > 4096 then entry = '*' end
  count = count + 1
  redis.call('HSET', d, 't', token, 'c', count, 'l' .. count, token .. erased .. ':' .. entry)
  redis.call('HDEL', d, 'l' .. (count - 64))
end
renew(s, time, ttl)
in_chunks('HDEL', f, gone)
for _, each in ipairs(gone) do names[#names + 1] = each end
in_chunks('ZREM', n, names)
if #writes > 0 then clean(s.base, time) end
return {'ok', time, is, erased}
)lua";

}  // namespace dropoutd
