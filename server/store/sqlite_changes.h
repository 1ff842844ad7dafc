// What changes do to the rows of the SQLite store.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_CHANGES_H_
#define DROPOUTD_SERVER_STORE_SQLITE_CHANGES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/sqlite_clock.h"
#include "server/store/sqlite_counts.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_rows.h"
#include "server/store/sqlite_statements.h"
#include "server/store/store.h"

namespace dropoutd {

// Each function runs inside a transaction of the writer's. What finds something not as it expects
// changes nothing; whatever else fails must undo the transaction. Not thread-safe.
class SqliteChanges {
 public:
  SqliteChanges(SqliteDatabase& database, SqliteWriteStatements& statements,
                const SqliteClock& clock)
      : database_(database), statements_(statements), clock_(clock), counts_(statements) {}

  // As the store's functions of these names.
  absl::StatusOr<StoreResult> Commit(const std::string& key, const StoreChange& change);
  absl::StatusOr<StoreResult> Stage(const std::string& key, Token incarnation,
                                    const std::vector<StoreField>& fields);
  absl::StatusOr<StoreResult> EraseRange(const std::string& key, Token incarnation,
                                         std::optional<Token> expected, const FieldRange& range,
                                         std::size_t keep, std::size_t most);
  absl::StatusOr<StoreResult> Remove(const std::string& key, Token incarnation, Token token);

  // NOT_FOUND if the session is not there; damage if it is set aside.
  absl::StatusOr<StoreResult> Renew(const std::string& key, std::chrono::nanoseconds ttl);

  // Keeps a session from being answered again, if it is still what was read. It has another token
  // then, so that no copy of it passes for good.
  absl::StatusOr<StoreResult> SetAside(const std::string& key, Token incarnation, Token token);

  // Removes some of what has ended; `count` is 0 when there is no more.
  absl::StatusOr<StoreResult> RemoveSomeExpired();

  // Writes the clock's time to the file: always, or if that is some time ago.
  absl::Status SaveClock();
  absl::Status SaveClockNowAndThen();

  // Whether removals must take small steps.
  void SetLittleRoom(bool has_little_room) { has_little_room_ = has_little_room; }

  // By how much the number of sessions has changed since this was called last.
  std::int64_t TakeCountChange();
  // The transaction was undone.
  void Undo();

 private:
  absl::StatusOr<SqliteRow> Find(const std::string& key);
  // The session with this incarnation, or a row with id 0; damage if it is set aside.
  absl::StatusOr<SqliteRow> FindIncarnation(const std::string& key, Token incarnation);
  absl::StatusOr<Token> RemovalOf(const std::string& key);

  // A field's token, and whether it is there. It has a row also where a tombstone is left of it.
  struct Field {
    Token token;
    bool exists = false;
    bool has_row = false;
  };
  absl::StatusOr<Field> FindField(const SqliteRow& row, const std::string& name);

  // Of each of the change's writes.
  absl::StatusOr<std::vector<Field>> FindFields(const SqliteRow& row, const StoreChange& change);

  // Nothing if the change was not made before.
  absl::StatusOr<std::optional<StoreResult>> FindRepeat(const SqliteRow& row,
                                                        const StoreChange& change,
                                                        const std::vector<Field>& fields);
  absl::StatusOr<StoreResult> Make(const std::string& key, const StoreChange& change);
  absl::StatusOr<std::optional<StoreResult>> CheckMaking(const std::string& key,
                                                         const StoreChange& change);
  // The row of fields that wait for their session, and how many they are, which stands in the place
  // of its log. Id 0 if none do. Removes one that has expired.
  struct Staged {
    std::int64_t id = 0;
    std::uint64_t count = 0;
  };
  absl::StatusOr<Staged> FindStaged(const std::string& staged);
  absl::StatusOr<std::int64_t> InsertRow(const std::string& key, const StoreChange& change,
                                         std::int64_t staged);

  // What keeps the change from being made: nothing, if it can be. `fields` are what the writes
  // find.
  static std::optional<StoreResult> CheckWrites(const StoreChange& change,
                                                const std::vector<Field>& fields);
  absl::StatusOr<std::optional<StoreResult>> CheckErases(const SqliteRow& row,
                                                         const StoreChange& change);
  absl::StatusOr<std::optional<StoreResult>> CheckLimit(const SqliteRow& row,
                                                        const StoreChange& change,
                                                        const std::vector<Field>& fields);
  absl::StatusOr<std::uint64_t> Erase(const SqliteRow& row, const FieldRange& range,
                                      std::uint64_t most);
  absl::Status WriteParts(const SqliteRow& row, const StoreChange& change);
  absl::Status WriteFields(const SqliteRow& row, const StoreChange& change,
                           const std::vector<Field>& fields);
  absl::Status Prolong(const SqliteRow& row, std::optional<std::chrono::nanoseconds> ttl);

  std::uint64_t MostFields() const;

  // Removes a session and up to `most` of its fields; the rest goes with what has expired. Returns
  // how many fields went.
  absl::StatusOr<std::uint64_t> RemoveRow(std::int64_t id, std::optional<std::string_view> key,
                                          std::uint64_t most);

  SqliteDatabase& database_;
  SqliteWriteStatements& statements_;
  const SqliteClock& clock_;
  SqliteCounts counts_;
  std::int64_t count_change_ = 0;
  std::int64_t clock_saved_ = 0;
  bool has_little_room_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_CHANGES_H_
