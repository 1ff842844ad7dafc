#include "server/store/sqlite_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

namespace dropoutd {
namespace {

constexpr std::uint64_t kRoomToKeepFree = 2 * SqliteReserve::kBytes;

bool IsThere(const std::string& path) {
  struct stat found = {};
  return stat(path.c_str(), &found) == 0 &&
         static_cast<std::size_t>(found.st_size) == SqliteReserve::kBytes;
}

bool HasRoom(const std::string& path, std::uint64_t bytes) {
  struct statvfs disk = {};
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  if (statvfs(folder.empty() ? "." : folder.c_str(), &disk) != 0) return false;
  return std::uint64_t{disk.f_bavail} * disk.f_frsize >= bytes;
}

// Bytes that no file system stores as a hole or in fewer.
std::vector<char> Noise() {
  std::vector<char> bytes(SqliteReserve::kBytes);
  std::uint64_t state = 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

bool WriteAll(int file, const std::vector<char>& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = write(file, bytes.data() + done, bytes.size() - done);
    if (written <= 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return fdatasync(file) == 0;
}

}  // namespace

void SqliteReserve::Keep() {
  if (is_kept_) return;
  is_kept_ = IsThere(path_);
  if (is_kept_) is_spent_ = false;
  if (is_kept_ || !HasRoom(path_, kBytes + kRoomToKeepFree)) return;
  const int file = open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return;
  is_kept_ = WriteAll(file, Noise());
  close(file);
  if (!is_kept_) unlink(path_.c_str());
  if (is_kept_) is_spent_ = false;
}

bool SqliteReserve::IsForRemovals() const { return is_spent_ && !HasRoom(path_, kBytes * 3 / 4); }

bool SqliteReserve::GiveUp() {
  const bool was_there = unlink(path_.c_str()) == 0;
  is_kept_ = false;
  is_spent_ = is_spent_ || was_there;
  return was_there;
}

}  // namespace dropoutd
