// A session in a SQLite file as it is at one moment.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_SNAPSHOT_H_
#define DROPOUTD_SERVER_STORE_SQLITE_SNAPSHOT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/sqlite_database.h"
#include "server/store/sqlite_rows.h"
#include "server/store/sqlite_statements.h"
#include "server/store/store.h"

namespace dropoutd {

// One of a number of places, until it ends.
class SqlitePlace {
 public:
  // Null if all `most` are taken. `taken` must outlive the place.
  static std::unique_ptr<SqlitePlace> Take(std::atomic<int>& taken, int most);
  ~SqlitePlace() { --taken_; }
  SqlitePlace(const SqlitePlace&) = delete;
  SqlitePlace& operator=(const SqlitePlace&) = delete;

 private:
  explicit SqlitePlace(std::atomic<int>& taken) : taken_(taken) {}

  std::atomic<int>& taken_;
};

// A transaction that reads, on a connection of its own: while it lasts the log keeps what it sees.
// Must not outlive the store.
class SqliteSnapshot final : public StoreSnapshot {
 public:
  // Sets the session aside where a value is damaged; returns what is said of it.
  using SetAside = std::function<absl::Status(const SqliteRow&)>;

  // NOT_FOUND if the session is not there. `now`: by the store's clock.
  static absl::StatusOr<std::unique_ptr<StoreSnapshot>> Open(const std::string& path,
                                                             std::string_view key, std::int64_t now,
                                                             std::unique_ptr<SqlitePlace> place,
                                                             SetAside set_aside);

  const StoreAnswer& session() const override { return session_; }
  absl::StatusOr<std::vector<StoreField>> Next(std::size_t limit) override;

 private:
  SqliteSnapshot(std::unique_ptr<SqlitePlace> place, SetAside set_aside)
      : place_(std::move(place)), set_aside_(std::move(set_aside)) {}

  absl::Status Begin(const std::string& path, std::string_view key, std::int64_t now);
  absl::StatusOr<std::vector<StoreField>> Read(std::size_t limit);
  absl::Status ReadField(StoreField& field);

  const std::unique_ptr<SqlitePlace> place_;
  const SetAside set_aside_;
  std::unique_ptr<SqliteDatabase> database_;
  SqliteReadStatements statements_;  // Before the connection in destruction.
  SqliteRow row_;
  StoreAnswer session_;
  bool is_over_ = false;
  absl::Status failed_;  // It stays so.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_SNAPSHOT_H_
