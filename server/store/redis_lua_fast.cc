#include "server/store/redis_lua.h"

namespace dropoutd {

// A tenth of a step's time is these two. To make the functions of kLuaCommon alone takes as long as
// several commands, so that these come before them.

const char kLuaWriteOne[] = R"lua(
if ARGV[7] == 'w' and ARGV[6] == '' then
  local d, f, n, name, replaces = KEYS[1], KEYS[2], KEYS[3], ARGV[8], ARGV[10]
  local time, expected = now(), ARGV[5]
  local head = redis.call('HMGET', d, 't', 'i', 'e', 'q', 's', 'b')
  local usual = head[2] == ARGV[3] and not head[4] and not head[5] and head[6]
  if expected ~= '' and expected ~= head[1] then usual = false end
  if tonumber(head[3] or 0) <= time then usual = false end
  if usual and not untimely(time, ARGV[4]) then
    local before = redis.call('HGET', f, name)
    local is = NONE
    if before then
      is = string.byte(before) == 2 and string.sub(before, 2, 17)
      if is == NONE then is = false end  -- It was staged.
    end
    if is == replaces then
      redis.call('HSET', f, name, ARGV[9])
      if not before and redis.call('HLEN', f) == 1 then redis.call('PEXPIREAT', f, head[6]) end
      if not before or #before == 17 then
        redis.call('ZADD', n, 0, name)
        if redis.call('ZCARD', n) == 1 then redis.call('PEXPIREAT', n, head[6]) end
      end
      return {'ok', time, head[1], 0}
    end
  end
end
)lua";

const char kLuaQuerySame[] = R"lua(
if ARGV[3] == '' and #ARGV < 100 then
  local time = now()
  local head = redis.call('HMGET', KEYS[1], 't', 'i', 'e', 'q', 'g')
  if head[2] and ARGV[2] == head[1] and not head[4] and tonumber(head[3] or 0) > time then
    local fields = {}
    if #ARGV > 3 then
      fields = redis.call('HMGET', base_of(KEYS[1], head[2]) .. 'f', unpack(ARGV, 4))
      for i = 1, #ARGV - 3 do fields[i] = fields[i] or '' end
    end
    return {'ok', time, head[2], head[1], tonumber(head[3]) - time, 0, head[5] or NONE, {}, fields}
  end
end
)lua";

}  // namespace dropoutd
