#include "server/store/redis_scripts.h"

#include <string>

#include "server/store/redis_lua.h"

namespace dropoutd {
namespace {

// The first line has a replica refuse the script, also where it would only read: what was a primary
// must not go on answering.
RedisScript Script(const char* source, const char* shortest = "") {
  return RedisScript(std::string("#!lua\n") + kLuaFirst + shortest + kLuaCommon + source);
}

// One that a Redis without memory runs too.
RedisScript AlwaysRun(const char* source, const char* shortest = "") {
  return RedisScript(std::string("#!lua flags=allow-oom\n") + kLuaFirst + shortest + kLuaCommon +
                     source);
}

}  // namespace

const RedisScripts& Scripts() {
  static const RedisScripts* const scripts = new RedisScripts{
      .commit = Script(kLuaCommit, kLuaWriteOne),
      .commit_removal = AlwaysRun(kLuaCommit),
      .stage = Script(kLuaStage),
      .erase_range = AlwaysRun(kLuaEraseRange),
      .remove = AlwaysRun(kLuaRemove),
      .set_aside = AlwaysRun(kLuaSetAside),
      .move = AlwaysRun(kLuaMove),
      .sweep = AlwaysRun(kLuaSweep),
      .query = AlwaysRun(kLuaQuery, kLuaQuerySame),
      .tokens = AlwaysRun(kLuaTokens),
      .list = AlwaysRun(kLuaList),
      .count = AlwaysRun(kLuaCount),
      .due = AlwaysRun(kLuaDue),
      .check = Script(kLuaCheck),
      .snapshot_begin = AlwaysRun(kLuaSnapshotBegin),
      .snapshot_next = AlwaysRun(kLuaSnapshotNext),
      .snapshot_end = AlwaysRun(kLuaSnapshotEnd),
  };
  return *scripts;
}

}  // namespace dropoutd
