// The texts of the scripts that Redis runs.
#ifndef DROPOUTD_SERVER_STORE_REDIS_LUA_H_
#define DROPOUTD_SERVER_STORE_REDIS_LUA_H_

namespace dropoutd {

// What all of them begin with: Redis's clock and names of keys. Names no key and calls nothing by
// itself.
extern const char kLuaFirst[];

// What is done most, the shortest way, where nothing stands in its way; else it does nothing, and
// what follows finds out the rest.
extern const char kLuaWriteOne[];
extern const char kLuaQuerySame[];

// Then tokens, ends, snapshots; as the first.
extern const char kLuaCommon[];

// Each without what comes before it; redis_scripts.h says what it takes and answers.
extern const char kLuaCommit[];
extern const char kLuaStage[];
extern const char kLuaEraseRange[];
extern const char kLuaRemove[];
extern const char kLuaSetAside[];
extern const char kLuaMove[];
extern const char kLuaSweep[];
extern const char kLuaQuery[];
extern const char kLuaTokens[];
extern const char kLuaList[];
extern const char kLuaCount[];
extern const char kLuaDue[];
extern const char kLuaCheck[];
extern const char kLuaSnapshotBegin[];
extern const char kLuaSnapshotNext[];
extern const char kLuaSnapshotEnd[];

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_LUA_H_
