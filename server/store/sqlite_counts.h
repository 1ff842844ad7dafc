// How many sessions and fields there are, without counting them each time.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_COUNTS_H_
#define DROPOUTD_SERVER_STORE_SQLITE_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "absl/status/statusor.h"
#include "server/store/sqlite_statements.h"
#include "server/store/store.h"

namespace dropoutd {

// Counts what limits are asked of once, and then keeps count. For the writer: it must tell of every
// change, and forget all when a transaction is undone. Not thread-safe.
class SqliteCounts {
 public:
  explicit SqliteCounts(SqliteWriteStatements& statements) : statements_(statements) {}

  // Sessions whose keys begin with `prefix`, but for those that have expired.
  absl::StatusOr<std::uint64_t> Sessions(std::string_view prefix, std::int64_t now);
  void AddSession(std::string_view key) { CountSession(key, 1); }
  void DropSession(std::string_view key) { CountSession(key, -1); }

  // Fields of a session in a range, without tombstones.
  absl::StatusOr<std::uint64_t> Fields(std::int64_t session, const FieldRange& range);
  // The same, of a range that is not asked for again.
  absl::StatusOr<std::uint64_t> CountFields(std::int64_t session, const FieldRange& range);
  void AddField(std::int64_t session, std::string_view name) { CountField(session, name, 1); }
  void DropField(std::int64_t session, std::string_view name) { CountField(session, name, -1); }

  void ForgetFields(std::int64_t session);
  void Forget();

 private:
  static constexpr std::size_t kMostKept = 1024;  // Of each kind; then it counts anew.

  void CountSession(std::string_view key, std::int64_t by);
  void CountField(std::int64_t session, std::string_view name, std::int64_t by);
  absl::StatusOr<std::int64_t> CountKeys(std::string_view prefix);

  SqliteWriteStatements& statements_;
  std::map<std::string, std::int64_t, std::less<>> sessions_;  // Rows, by prefix.
  // By session, first and last.
  std::map<std::tuple<std::int64_t, std::string, std::string>, std::int64_t> fields_;
};

// The first string after all that begin with `prefix`; empty if there is none.
std::string AfterPrefix(std::string_view prefix);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_COUNTS_H_
