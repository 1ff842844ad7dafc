// Keeps other servers away from a file.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_LOCK_H_
#define DROPOUTD_SERVER_STORE_SQLITE_LOCK_H_

#include <string>

#include "absl/status/statusor.h"

namespace dropoutd {

// A lock of the file itself, so that no other name of it, be it a symbolic link or a hard one, lets
// a second server in; and of PATH.lock, which is all that servers before schema 2 ask for. It ends
// with the object, or with the process.
class SqliteLock {
 public:
  SqliteLock() = default;
  SqliteLock(SqliteLock&& other) noexcept;
  SqliteLock& operator=(SqliteLock&& other) noexcept;
  ~SqliteLock();

  // Makes the file if there is none. STORE_UNAVAILABLE, with a message for the operator.
  static absl::StatusOr<SqliteLock> Take(const std::string& path);

  // Of the file, without links.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int file_ = -1;
  int lock_file_ = -1;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_LOCK_H_
