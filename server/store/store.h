// Where sessions live: one interface, implemented by memory, SQLite and Redis.
#ifndef DROPOUTD_SERVER_STORE_STORE_H_
#define DROPOUTD_SERVER_STORE_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/token.h"

namespace dropoutd {

// A session in a store is
//  - its incarnation, drawn when it is made: another session under the same key has another;
//  - its token, that of the last change of what it is;
//  - its parts, small values by name, that are read together: what the session is;
//  - its fields, values by name, each with the token of the change that wrote it: what it holds.
// Names and values are any bytes; names are ordered by their bytes.
//
// A change has a token, drawn once for the change and all its repeats, and names the tokens of what
// it replaces. So a change that arrives late, after the caller has given it up, loses to everything
// that was answered since, and a repeat finds that the first attempt was made.

struct StorePart {
  std::string name;
  std::optional<std::string> value;  // Nothing: there is no such part.
};

struct StoreField {
  std::string name;
  std::optional<std::string> value;  // Nothing: there is no such field.
  Token token;  // Of the change that wrote or removed it; none if there never was one.
};

// What one field becomes.
struct FieldWrite {
  std::string name;
  std::optional<std::string> value;  // Nothing: it is removed.
  Token replaces;                    // What StoreField::token must be.
};

// Names from `first` on and before `last`.
struct FieldRange {
  std::string first;
  std::string last;
};

// Most fields that a range may have after a change that adds one.
struct FieldLimit {
  FieldRange range;
  std::uint64_t most = 0;
};

// Most sessions that there may be when one is made.
struct SessionLimit {
  std::string prefix;  // Of the keys of the session's tenant, as List takes it.
  std::uint64_t most_of_tenant = 0;
  std::uint64_t most = 0;
};

// A change of one session, made whole or not at all.
struct StoreChange {
  Token token;
  Token incarnation;  // Of the session that is changed, or made.

  // The session's token before the change. Nothing: any. Of one to be made: that of the removal
  // which took its key's last session, or none; where late changes are possible, also that of a
  // session which has ended a while ago.
  std::optional<Token> expected;
  std::optional<SessionLimit> makes;  // The session is made; there must be none.
  std::uint64_t staged = 0;           // Fields that were staged for it; it is not made with fewer.

  // What is not named stays. If parts or erases are named the session's token becomes the change's.
  std::vector<StorePart> parts;
  std::vector<FieldWrite> writes;
  std::vector<FieldRange> erases;  // All fields in these,
  std::size_t most_erased = 1000;  // if they are no more; else nothing is done.
  std::optional<FieldLimit> limit;

  // The session lasts so long from now, or longer if it does already. Required to make one.
  std::optional<std::chrono::nanoseconds> ttl;
};

// What became of a change. All but kDone changed nothing.
enum class StoreOutcome {
  kDone,
  kAbsent,      // No session with this incarnation is there.
  kConflict,    // Its token is another; to be made: there is one, or one was removed.
  kOccupied,    // A field's token is another.
  kTooMany,     // More fields would be erased than the change allows.
  kFull,        // The limit of fields.
  kTenantFull,  // The limits of sessions.
  kFullOfSessions,
  kStagedLost,  // Of the fields that were staged some are gone.
};

struct StoreResult {
  StoreOutcome outcome = StoreOutcome::kDone;
  Token token;               // kDone, kConflict: the session's, or the removal's.
  bool exists = false;       // kConflict: there is a session, and not a removal.
  std::vector<Token> found;  // kOccupied: of each of the writes' fields, in order.
  std::uint64_t count = 0;  // kDone, kTooMany: fields in the ranges to erase; full: what there are.
};

// What is asked of one session.
struct StoreQuery {
  Token known;                                  // The parts are answered if the token is another.
  std::vector<std::string> fields;              // The names of the fields wanted.
  std::optional<std::chrono::nanoseconds> ttl;  // Renews the session, as StoreChange's.
};

struct StoreAnswer {
  Token incarnation;
  Token token;
  std::chrono::nanoseconds left{0};  // Until it ends, after the renewal.
  bool is_whole = false;             // `parts` are all there are,
  std::vector<StorePart> parts;      // else those that have changed since `known`.
  std::vector<StoreField> fields;    // As they were asked for.
};

// A session as it is at one moment, whatever is written meanwhile. Not thread-safe. Its end frees
// what the store keeps for it.
class StoreSnapshot {
 public:
  virtual ~StoreSnapshot() = default;

  // With all parts and no field.
  virtual const StoreAnswer& session() const = 0;

  // The next fields in the order of their names, about `limit` of them; none after the last.
  virtual absl::StatusOr<std::vector<StoreField>> Next(std::size_t limit) = 0;
};

// Sessions by key. Thread-safe. A session that has expired is answered as one that is not there;
// the store's own clock says when. A change that was answered kDone is as durable as the store
// promises, and every later call, through any server on the same store, sees it. One that was
// answered with an error may have been made, or may be made until its deadline, a few seconds after
// the call, but never over something that was answered since. A store makes an ambiguous change
// again by itself where it can find out so what became of it.
//
// Errors: STORE_UNAVAILABLE where the store cannot be reached, is full, read-only or too slow;
// STORE_CORRUPT where what it holds is damaged: that session is set aside, and never answered as
// good; STORE_FORMAT_NEWER for what a later version has written, which is left untouched.
//
// Every function is pure, so that a store around another one cannot forget to pass a call on.
class Store {
 public:
  virtual ~Store() = default;

  // "memory", "sqlite" or "redis".
  virtual std::string_view kind() const = 0;

  // Whether other servers may change what is here, so that nothing may be answered from a copy
  // without asking for its token.
  virtual bool is_shared() const = 0;

  // OK if the store can be read and written at this moment.
  virtual absl::Status Check() = 0;

  // Calls `done` once, from any thread, perhaps before it returns. Changes of one session that are
  // started one after another by one thread are made in that order.
  using Committed = std::function<void(absl::StatusOr<StoreResult>)>;
  virtual void StartCommit(std::string_view key, StoreChange change, Committed done) = 0;

  // The same, and waits; it may overtake changes that were started and are not done.
  virtual absl::StatusOr<StoreResult> Commit(std::string_view key, StoreChange change) = 0;

  // Keeps fields for a session that Commit makes later with this incarnation, which then has them,
  // with the change's token. Each name is staged once. What no session claims goes after a minute,
  // and a store that loses changes may lose some of it: the change must say how many there are.
  virtual absl::Status Stage(std::string_view key, Token incarnation,
                             std::vector<StoreField> fields) = 0;

  // NOT_FOUND, with no reason, if the session is not there.
  virtual absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) = 0;

  // NOT_FOUND, with no reason, if the session is not there.
  virtual absl::StatusOr<std::unique_ptr<StoreSnapshot>> Snapshot(std::string_view key) = 0;

  // The tokens of sessions, none for those that are not there; renews nothing.
  virtual absl::StatusOr<std::vector<Token>> Tokens(const std::vector<std::string>& keys) = 0;

  // Removes up to `most` fields of the range, the first ones, but never the last `keep`, and leaves
  // no trace of them; returns how many. `expected`: as StoreChange's. Removes none of another
  // incarnation or where `expected` does not hold.
  virtual absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, Token incarnation,
                                                   std::optional<Token> expected,
                                                   const FieldRange& range, std::size_t keep,
                                                   std::size_t most) = 0;

  // Removes this incarnation, or with none a session that is set aside. `token` names the removal.
  // kDone or kAbsent.
  virtual absl::StatusOr<StoreResult> Remove(std::string_view key, Token incarnation,
                                             Token token) = 0;

  // Up to `limit` keys after `after` that begin with `prefix`, sorted. May miss sessions that are
  // made or removed meanwhile.
  virtual absl::StatusOr<std::vector<std::string>> List(std::string_view prefix,
                                                        std::string_view after,
                                                        std::size_t limit) = 0;

  // How many sessions there are; it may count some that have expired a moment ago.
  virtual absl::StatusOr<std::uint64_t> Count() = 0;

  // Frees what expired sessions held, where the store does not by itself.
  virtual absl::Status RemoveExpired() = 0;
};

// Commit, of a store whose changes all go through its StartCommit.
absl::StatusOr<StoreResult> CommitAndWait(Store& store, std::string_view key, StoreChange change);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_STORE_H_
