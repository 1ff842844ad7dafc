#include "server/store/sqlite_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "server/base/error.h"

namespace dropoutd {
namespace {

// Far from the bytes that SQLite locks, and beyond any content.
constexpr off_t kLockedByte = off_t{1} << 62;

absl::Status CannotBeWritten() {
  return MakeError(Reason::kStoreUnavailable, "cannot be written, or its folder is missing");
}

// Of the open file, not of the process: closing another descriptor of the same file, as SQLite
// does, does not end it.
bool LockByte(int file) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kLockedByte;
  lock.l_len = 1;
  return fcntl(file, F_OFD_SETLK, &lock) == 0;
}

}  // namespace

SqliteLock::SqliteLock(SqliteLock&& other) noexcept { *this = std::move(other); }

SqliteLock& SqliteLock::operator=(SqliteLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(lock_file_, other.lock_file_);
  return *this;
}

SqliteLock::~SqliteLock() {
  if (file_ >= 0) close(file_);
  if (lock_file_ >= 0) close(lock_file_);
}

absl::StatusOr<SqliteLock> SqliteLock::Take(const std::string& path) {
  SqliteLock lock;
  lock.file_ = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (lock.file_ < 0) return CannotBeWritten();
  const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr),
                                                             &std::free);
  if (resolved == nullptr) return CannotBeWritten();
  lock.path_ = resolved.get();
  lock.lock_file_ = open((lock.path_ + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock.lock_file_ < 0) return CannotBeWritten();
  if (!LockByte(lock.file_) || flock(lock.lock_file_, LOCK_EX | LOCK_NB) != 0) {
    return MakeError(Reason::kStoreUnavailable, "another dropoutd uses it");
  }
  return lock;
}

}  // namespace dropoutd
