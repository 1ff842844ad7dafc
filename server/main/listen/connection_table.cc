#include "server/main/listen/connection_table.h"

#include <sys/socket.h>
#include <sys/stat.h>

namespace dropoutd {
namespace {

// The socket that a descriptor is now; 0 if it is none.
ino_t SocketOf(int descriptor) {
  struct stat file = {};
  return fstat(descriptor, &file) == 0 && S_ISSOCK(file.st_mode) ? file.st_ino : 0;
}

}  // namespace

bool ConnectionTable::Add(int descriptor) {
  const std::lock_guard lock(mutex_);
  // A descriptor that is new again was closed meanwhile; to look at the others costs more.
  if (open_.size() >= limit_ && !open_.contains(descriptor)) Sweep();
  if (open_.size() >= limit_ && !open_.contains(descriptor)) return false;
  open_[descriptor] = SocketOf(descriptor);
  return true;
}

std::size_t ConnectionTable::Count() {
  const std::lock_guard lock(mutex_);
  Sweep();
  return open_.size();
}

std::size_t ConnectionTable::ShutDownWrites() {
  const std::lock_guard lock(mutex_);
  Sweep();
  for (const auto& [descriptor, socket] : open_) shutdown(descriptor, SHUT_WR);
  return open_.size();
}

void ConnectionTable::Sweep() {
  std::erase_if(open_, [](const auto& each) { return SocketOf(each.first) != each.second; });
}

}  // namespace dropoutd
