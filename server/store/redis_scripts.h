// What the Redis store has the server do, each in one step.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SCRIPTS_H_
#define DROPOUTD_SERVER_STORE_REDIS_SCRIPTS_H_

#include "server/store/redis_script.h"

namespace dropoutd {

// A session K in bucket B, whose incarnation is I in hexadecimal digits, is these keys:
//  - the hash dropout:{B}:K:d of its token (t), incarnation (i), first token (g), end in
//    milliseconds of Redis's own clock (e), the end of its keys (b), parts ("p" and the name), the
//    count of its changes (c) and the last 64 of them ("l" and the number: token, fields erased,
//    ":", "*" or the names of the parts, each as LENGTH:NAME), the snapshots under way (s: digits
//    and ids), and, where it was set aside, q. Without i it is the tombstone of a removal;
//  - the hash dropout:{B}:K:I:f of its fields: byte 2, the token, and the framed value (framing.h),
//    or no more than the token for a tombstone. 16 zero bytes stand for g. Values that begin with
//    byte 1 are of format 1, framed and without a token: theirs is the head of their SHA-1;
//  - the sorted set dropout:{B}:K:I:n of the names of its fields, tombstones aside;
//  - the list dropout:{B}:K:I:x of tombstones, the oldest first: token, time, ":", name;
//  - for a snapshot in slot S, the hash dropout:{B}:K:I:sS of its id and of what fields were before
//    they were changed ("n" and the name; empty: there was none), and the sorted set zS of their
//    names.
// All sessions are in the sorted sets `keys`, in byte order, and `expiry`, by time (redis_keys.h).
// Values are opaque to scripts.
//
// The stub dropout:{K}:d, outside of clusters, is what a server of format 1 finds: a version (v), a
// document (doc) that it takes for damaged, an end (e), and s, by which it is told from a session.
//
// "Session keys" are d, f, n, x, keys, expiry and, outside of a cluster, the stub. An answer begins
// with a word and Redis's time in milliseconds, which are left out below. Lengths of time are in
// milliseconds, tokens 16 bytes, "" for none expected; bounds are as ZRANGEBYLEX takes them. A
// write whose deadline has passed, or is too far ahead, answers late or early.
struct RedisScripts {
  // KEYS: the session's; to make one outside of a cluster, also keys and expiry of format 1.
  // ARGV: K, token, incarnation, deadline, expected token, ttl or "", and of a change that writes
  // one field and nothing else "w", and its name, value as it shall stand, and token to replace; of
  // others "1" to make the session, first and last bound of the tenant's keys, most sessions of it,
  // most of all, and how many of both there are elsewhere; first and last bound and most fields of
  // the limit, or three ""; most fields to erase; number of parts, and each one's name and framed
  // value or ""; number of ranges to erase, disjoint, and each one's bounds, and those of what it
  // has in common with the limit, or two ""; number of writes, and each one's name, value as it
  // shall stand, token to replace, and flags (r: removes, l: within the limit, e: within a range to
  // erase); the stub's document, and the number of fields that were staged. Answers ok, token,
  // erased; absent; bad; old (a session of format 1 is there); conflict, token, whether it exists;
  // staged_lost; occupied, tokens...; too_many, tenant_full, full_of_sessions, full, count.
  RedisScript commit;
  RedisScript commit_removal;  // The same, for what a full Redis must not refuse.

  // KEYS: the session's. ARGV: K, incarnation, deadline, and each field's name and value. Answers
  // ok or made.
  RedisScript stage;

  // KEYS: the session's. ARGV: K, incarnation, deadline, expected token, bounds, keep, most.
  // Answers ok, count; bad.
  RedisScript erase_range;

  // KEYS: the session's. ARGV: K, incarnation, token, deadline. Answers ok, token; absent.
  RedisScript remove;

  // KEYS: d. ARGV: incarnation and token that were read, new token.
  RedisScript set_aside;

  // KEYS: d, f, n, stub, f and n of format 1, keys, expiry, and those of format 1. ARGV: K,
  // incarnation, token, the stub's document. Answers ok or none.
  RedisScript move;

  // KEYS: d, keys, expiry, stub or nothing. ARGV: K.
  RedisScript sweep;

  // KEYS: d, expiry, stub or nothing. ARGV: K, known token, ttl or "", names. Answers ok,
  // incarnation, token, time left, whether the parts are all, first token, list of names and
  // framed values of parts ("": none), list of values of fields; none; bad; old.
  RedisScript query;

  // KEYS: d of each session. Answers ok and their tokens.
  RedisScript tokens;

  // KEYS: keys and expiry, of each index. ARGV: bounds, limit. Answers ok and a list of sessions,
  // for each index in order.
  RedisScript list;

  // KEYS: as list. ARGV: bounds. Answers ok, how many sessions, how many in the bounds.
  RedisScript count;

  // KEYS: expiry; outside of a cluster keys and expiry of format 1, which it tidies: the rest of
  // such a session goes by itself. ARGV: limit. Answers ok and the list of sessions that have
  // ended.
  RedisScript due;

  // KEYS: a key to write.
  RedisScript check;

  // KEYS: d, stub or nothing. ARGV: id. Answers as query, and the slot; busy.
  RedisScript snapshot_begin;

  // KEYS: f, n, sS, zS. ARGV: id, first bound, limit, most bytes. Answers ok, whether there may be
  // more fields, the last name that was looked at, the same two of what was set aside, and for both
  // a list of names and values; gone.
  RedisScript snapshot_next;

  // KEYS: d, sS, zS. ARGV: id, incarnation.
  RedisScript snapshot_end;
};

const RedisScripts& Scripts();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SCRIPTS_H_
