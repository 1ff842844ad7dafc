#include "client/shared_regions.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dropout {
namespace {

constexpr std::size_t kSmallest = std::size_t{64} << 10;
constexpr std::size_t kMaxIdle = 16;

absl::Status CannotMap(const char* why) {
  return absl::FailedPreconditionError(
      absl::StrCat("the server's shared memory cannot be used from here: ", why));
}

// Sizes in steps of a quarter, so that tensors of nearly the same size share a region.
std::size_t RoundUp(std::size_t size) {
  std::size_t power = kSmallest;
  while (power < size && power <= SIZE_MAX / 2) power *= 2;
  const std::size_t step = std::max(power / 8, std::size_t{4096});
  return std::max(kSmallest, (size + step - 1) / step * step);
}

}  // namespace

MappedRegion::MappedRegion(const std::string& session_id, const std::string& region_id, char* data,
                           std::size_t size)
    : session_id_(session_id), region_id_(region_id), data_(data), size_(size) {}

MappedRegion::~MappedRegion() { munmap(data_, size_); }

absl::StatusOr<std::shared_ptr<MappedRegion>> MappedRegion::Map(const std::string& session_id,
                                                                const SharedMemory& region) {
  const int file = open(region.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return CannotMap("its file does not open");
  struct stat status = {};
  const bool is_whole = fstat(file, &status) == 0 && status.st_size == region.byte_size;
  const auto size = static_cast<std::size_t>(region.byte_size);
  void* place = MAP_FAILED;
  if (is_whole) {
    place = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  }
  close(file);
  if (place == MAP_FAILED) return CannotMap("its file cannot be mapped");
  return std::shared_ptr<MappedRegion>(
      new MappedRegion(session_id, region.region_id, static_cast<char*>(place), size));
}

std::optional<std::size_t> MappedRegion::OffsetOf(const void* data, std::size_t size) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(data_);
  const auto at = reinterpret_cast<std::uintptr_t>(data);
  if (at < begin || at - begin > size_ || size > size_ - (at - begin)) return std::nullopt;
  return at - begin;
}

SharedRegions::SharedRegions(Create create, Delete remove)
    : create_(std::move(create)), delete_(std::move(remove)) {}

absl::StatusOr<std::shared_ptr<MappedRegion>> SharedRegions::MakeForUser(
    const std::string& session_id, std::size_t byte_size) {
  absl::StatusOr<SharedMemory> region = create_(session_id, static_cast<std::int64_t>(byte_size));
  if (!region.ok()) return region.status();
  absl::StatusOr<std::shared_ptr<MappedRegion>> mapped = MappedRegion::Map(session_id, *region);
  if (!mapped.ok()) return mapped.status();
  const std::lock_guard<std::mutex> lock(mutex_);
  users_.erase(
      std::remove_if(users_.begin(), users_.end(), [](const auto& user) { return user.expired(); }),
      users_.end());
  users_.push_back(*mapped);
  return mapped;
}

std::optional<SharedRegions::Found> SharedRegions::Find(const std::string& session_id,
                                                        const void* data, std::size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& user : users_) {
    std::shared_ptr<MappedRegion> region = user.lock();
    if (region == nullptr || region->session_id() != session_id) continue;
    if (const auto offset = region->OffsetOf(data, size)) return Found{std::move(region), *offset};
  }
  return std::nullopt;
}

absl::StatusOr<std::shared_ptr<MappedRegion>> SharedRegions::Take(const std::string& session_id,
                                                                  std::size_t byte_size) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find_if(idle_.rbegin(), idle_.rend(), [&](const auto& region) {
      return region->session_id() == session_id && region->size() >= byte_size;
    });
    if (found != idle_.rend()) {
      std::shared_ptr<MappedRegion> region = std::move(*found);
      idle_.erase(std::next(found).base());
      return region;
    }
  }
  absl::StatusOr<SharedMemory> region =
      create_(session_id, static_cast<std::int64_t>(RoundUp(byte_size)));
  if (!region.ok()) return region.status();
  return MappedRegion::Map(session_id, *region);
}

void SharedRegions::Return(std::shared_ptr<MappedRegion> region) {
  std::shared_ptr<MappedRegion> oldest;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(region));
    if (idle_.size() <= kMaxIdle) return;
    oldest = std::move(idle_.front());
    idle_.erase(idle_.begin());
  }
  delete_(*oldest);
}

void SharedRegions::Forget(const std::string& session_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.erase(
      std::remove_if(idle_.begin(), idle_.end(),
                     [&](const auto& region) { return region->session_id() == session_id; }),
      idle_.end());
}

}  // namespace dropout
