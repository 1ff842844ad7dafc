// What the Redis store has the server do, each in one step.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SCRIPTS_H_
#define DROPOUTD_SERVER_STORE_REDIS_SCRIPTS_H_

#include "server/store/redis_connection.h"

namespace dropoutd {

// A session K is three keys, which expire together: the hash dropout:{K}:d of its version (v),
// document (doc), expiry in milliseconds of Redis's own clock (e) and, where it was set aside, q;
// the hash dropout:{K}:f of its fields; and the sorted set dropout:{K}:n of their names. All
// sessions are in the sorted sets dropout:keys, in byte order, and dropout:expiry, by time.
//
// Values are framed (framing.h); the scripts do not look into them.
struct RedisScripts {
  // Times in arguments and answers are milliseconds from now.

  // KEYS: d, f, n, keys, expiry. ARGV: K, expected version or "", document or "", expiry or "",
  // number of conditions, and for each its name and value (empty: there must be none), and for
  // each write the same. Answers {"ok", version}, {"none"}, {"aborted"} or {"bad"}.
  RedisScript commit;

  // KEYS: d, f, n, expiry. ARGV: K, known version, expiry or "", names.
  // Answers {"ok", version, expiry, document or "", values...}, {"none"} or {"bad"}.
  RedisScript query;

  // KEYS: d, f, n. ARGV: first, last, limit. Answers {"ok", name, value, ...} or {"bad"}.
  RedisScript scan;

  // KEYS: d, f, n. ARGV: first, last, keep. Answers how many went.
  RedisScript erase_range;

  // KEYS: d, f, n, keys, expiry. ARGV: K. Answers whether it was there.
  RedisScript remove;

  // KEYS: keys. ARGV: first bound, last bound, limit.
  RedisScript list;

  // KEYS: keys.
  RedisScript count;

  // KEYS: keys, expiry. Answers how many of the entries it looked at.
  RedisScript remove_expired;

  // KEYS: d.
  RedisScript set_aside;

  // KEYS: a key to write.
  RedisScript check;
};

const RedisScripts& Scripts();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SCRIPTS_H_
