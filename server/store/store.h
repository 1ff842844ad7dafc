// Where sessions live: one interface, implemented by memory, SQLite and Redis.
#ifndef DROPOUTD_SERVER_STORE_STORE_H_
#define DROPOUTD_SERVER_STORE_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dropoutd {

// Counts the documents that a session had; 0 means that there is no session.
using StoreVersion = std::uint64_t;
using StoreTime = std::chrono::system_clock::time_point;

// Part of a session that is read and written by itself. Names and values are any bytes; names
// are in byte order.
struct StoreField {
  std::string name;
  std::optional<std::string> value;  // Nothing: there is no such field.
};

// A change of one session, made whole or not at all.
struct StoreChange {
  // The version that the session must have, 0 for none yet; nothing: any but 0.
  std::optional<StoreVersion> expected_version;
  // The history() that the change is of: in another one an equal version, or a layer's equal
  // revision, may stand for something else.
  std::optional<std::uint64_t> expected_history;
  std::optional<std::string> document;   // Replaces the document and adds 1 to the version.
  std::vector<StoreField> conditions;    // What these fields must be before the change.
  std::vector<StoreField> writes;        // What they are after it.
  std::optional<StoreTime> expire_time;  // When the session goes; required with version 0.
};

// What is asked of one session.
struct StoreQuery {
  StoreVersion known_version = 0;        // The document is answered only if its version differs.
  std::vector<std::string> fields;       // The names of the fields wanted.
  std::optional<StoreTime> expire_time;  // Renews the session: an end that is later stays.
};

struct StoreAnswer {
  StoreVersion version = 0;
  StoreTime expire_time;                // After the renewal.
  std::optional<std::string> document;  // If its version is not the known one.
  std::vector<StoreField> fields;       // As they were asked for.
};

// Names from `first` on and before `last`.
struct FieldRange {
  std::string first;
  std::string last;
};

// Sessions by key, each a document with a version, and fields beside it. Thread-safe. A session
// that has expired is answered as one that is not there. Times are those of the caller's clock; a
// store that servers with several clocks share keeps them by a clock of its own. A change that was
// answered with OK is as durable as the store promises, and every later call, through any server on
// the same store, sees it. Errors, beside those named: STORE_UNAVAILABLE where the store cannot be
// reached, is full, read-only or too slow (the change may or may not have been made), and
// STORE_CORRUPT where what it holds is damaged: that session is set aside, and never answered as
// good.
//
// Every function is pure, so that a store around another one cannot forget to pass a call on.
class Store {
 public:
  virtual ~Store() = default;

  // "memory", "sqlite" or "redis".
  virtual std::string_view kind() const = 0;

  // Whether other servers may change what is here, so that nothing may be answered from a copy
  // without asking for its version.
  virtual bool is_shared() const = 0;

  // Changes whenever the store may have lost what it once answered, because another Redis has taken
  // over or one was restarted: versions of earlier histories are not comparable. It only grows, and
  // is constant in a store that loses nothing.
  virtual std::uint64_t history() const = 0;

  // OK if the store can be read and written at this moment.
  virtual absl::Status Check() = 0;

  // ABORTED, with no reason, if the expected version or history or a condition does not hold;
  // NOT_FOUND, with no reason, if the session is not there and expected_version is not 0.
  using Committed = std::function<void(absl::StatusOr<StoreVersion>)>;
  // Calls `done` once, from any thread, perhaps before it returns. Changes of one session that
  // are started one after another by one thread are made in that order.
  virtual void StartCommit(std::string_view key, StoreChange change, Committed done) = 0;

  // The same, and waits; it may overtake changes that were started and are not done.
  virtual absl::StatusOr<StoreVersion> Commit(std::string_view key, StoreChange change) = 0;

  // NOT_FOUND, with no reason, if the session is not there.
  virtual absl::StatusOr<StoreAnswer> Query(std::string_view key, const StoreQuery& query) = 0;

  // Up to `limit` fields of the range, in order of their names; none if the session is not there.
  virtual absl::StatusOr<std::vector<StoreField>> Scan(std::string_view key,
                                                       const FieldRange& range,
                                                       std::size_t limit) = 0;

  // Removes the fields of the range, but for the last `keep`; returns how many went.
  virtual absl::StatusOr<std::uint64_t> EraseRange(std::string_view key, const FieldRange& range,
                                                   std::size_t keep) = 0;

  // NOT_FOUND, with no reason, if the session is not there.
  virtual absl::Status Remove(std::string_view key) = 0;

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
absl::StatusOr<StoreVersion> CommitAndWait(Store& store, std::string_view key, StoreChange change);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_STORE_H_
