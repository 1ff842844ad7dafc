#include "server/store/redis_lua.h"

namespace dropoutd {

// Lua compares texts by the locale, so that no script orders names by itself. Nothing may be
// changed before the last read that can fail: while a cluster moves a slot, a key that is not here
// stops a script where it is touched. So texts are added before others are taken away, and those
// all at once: a key that has become empty is gone.
const char kLuaFirst[] = R"lua(
local NONE = string.rep('\0', 16)
local TOMBSTONE_MS, LONGEST_DEADLINE_MS, SNAPSHOT_MS = 30000, 10000, 60000

local function ms(number) return string.format('%.0f', number) end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Why a write may not be made now, or false.
local function untimely(time, deadline)
  if time > tonumber(deadline) then return {'late', time} end
  if tonumber(deadline) > time + LONGEST_DEADLINE_MS then return {'early', time} end
  return false
end

-- What the keys of an incarnation's fields begin with; d is the session's.
local function base_of(d, incarnation)
  local hex = string.format(string.rep('%02x', #incarnation), string.byte(incarnation, 1, -1))
  return string.sub(d, 1, -2) .. hex .. ':'
end
)lua";

const char kLuaCommon[] = R"lua(
local function is_live(value) return value and #value ~= 17 end

-- A field's token. `genesis`: what those have that were staged.
local function token_of(value, genesis)
  if not value then return NONE end
  if string.byte(value) ~= 2 then
    return (string.gsub(string.sub(redis.sha1hex(value), 1, 32), '..',
                        function(h) return string.char(tonumber(h, 16)) end))
  end
  local token = string.sub(value, 2, 17)
  if token == NONE then return genesis or NONE end
  return token
end

local function in_chunks(command, key, names)
  for first = 1, #names, 1000 do
    redis.call(command, key, unpack(names, first, math.min(first + 999, #names)))
  end
end

-- The snapshots that somebody still reads, of those in `packed`: digits and ids.
local function snapshots_of(packed, base)
  local active = {}
  for at = 1, #(packed or ''), 17 do
    local slot, id = string.sub(packed, at, at), string.sub(packed, at + 1, at + 16)
    if redis.call('HGET', base .. 's' .. slot, 'id') == id then
      active[#active + 1] = {slot = slot, id = id, s = base .. 's' .. slot, z = base .. 'z' .. slot}
    end
  end
  return active
end

-- Keeps for them what a field was before it is changed.
local function set_aside(snapshots, name, value)
  for _, each in ipairs(snapshots) do
    local live = is_live(value)
    if redis.call('HSETNX', each.s, 'n' .. name, live and value or '') == 1 and live then
      redis.call('ZADD', each.z, 0, name)
      redis.call('PEXPIRE', each.z, redis.call('PTTL', each.s) + 1000)
    end
  end
end

-- Of a session whose time is over: what was answered as ended stays so, though the clock steps back.
-- A negative end is one that has been seen.
local function has_ended(d, e, time)
  if not e or tonumber(e) > time then return false end
  if tonumber(e) > 0 then redis.pcall('HSET', d, 'e', '-' .. e) end
  return true
end

-- Gives a session `ttl` from now, if that is longer. Its keys last longer than it does, so that
-- most renewals touch but one of them; the sweep frees them in time. `stub` may be nil.
local function renew(s, time, ttl)
  if ttl == '' then return end
  local to = time + tonumber(ttl)
  if to > s.e then
    s.e = to
    redis.call('HSET', s.d, 'e', ms(to))
    redis.call('ZADD', s.expiry, ms(to), s.key)
  end
  if s.e + TOMBSTONE_MS > s.b then
    s.b = s.e + TOMBSTONE_MS + tonumber(ttl)
    redis.call('HSET', s.d, 'b', ms(s.b))
    redis.call('PEXPIREAT', s.d, ms(s.b))
    for _, each in ipairs({'f', 'n', 'x'}) do redis.call('PEXPIREAT', s.base .. each, ms(s.b)) end
    if s.stub and redis.call('HEXISTS', s.stub, 's') == 1 then
      redis.call('HSET', s.stub, 'e', ms(s.b))
      redis.call('PEXPIREAT', s.stub, ms(s.b))
    end
  end
end

-- How many sessions an index has, with names in the bounds and in all. Those that have expired do
-- not count, swept or not.
local function sessions_of(keys, expiry, first, last, time)
  local prefix, tenant = string.sub(first, 2), redis.call('ZLEXCOUNT', keys, first, last)
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', ms(time), 'LIMIT', 0, 1000)) do
    if string.sub(each, 1, #prefix) == prefix then tenant = tenant - 1 end
  end
  return tenant, redis.call('ZCARD', keys) - redis.call('ZCOUNT', expiry, '-inf', ms(time))
end

-- Whether a session of format 1 is there.
local function is_old(stub)
  if not stub then return false end
  local head = redis.call('HMGET', stub, 'v', 's')
  return head[1] and not head[2]
end

-- Frees an incarnation's fields, now or when the last snapshot has been read.
local function free_fields(base, packed)
  local read = #snapshots_of(packed, base) > 0
  for _, each in ipairs({'f', 'n', 'x'}) do
    if read and each ~= 'x' then
      redis.call('PEXPIRE', base .. each, SNAPSHOT_MS + 10000)
    else
      redis.call('UNLINK', base .. each)
    end
  end
end

-- Takes out tombstones that are old enough.
local function clean(base, time)
  local some, names, count = redis.call('LRANGE', base .. 'x', 0, 31), {}, 0
  for _, each in ipairs(some) do
    local colon = string.find(each, ':', 17, true)
    if tonumber(string.sub(each, 17, colon - 1)) + TOMBSTONE_MS > time then break end
    count = count + 1
    local name = string.sub(each, colon + 1)
    if redis.call('HSTRLEN', base .. 'f', name) == 17 and
       redis.call('HGET', base .. 'f', name) == '\2' .. string.sub(each, 1, 16) then
      names[#names + 1] = name
    end
  end
  if count > 0 then redis.call('LTRIM', base .. 'x', count, -1) end
  in_chunks('HDEL', base .. 'f', names)
end
)lua";

}  // namespace dropoutd
