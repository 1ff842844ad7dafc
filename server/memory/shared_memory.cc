#include "server/memory/shared_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

constexpr char kPrefix[] = "dropoutd-";

absl::Status Full(const char* what) {
  return MakeError(Reason::kQuotaSharedMemory,
                   absl::StrCat("byte_size: the host has no ", what, " left for it"));
}

// Whether this process has the file to itself, and the file still has its name. Until it
// ends, others see by the lock that the file is in use.
bool Lock(int file) {
  struct stat status = {};
  return flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &status) == 0 && status.st_nlink != 0;
}

// Names of the folder's files that look like regions.
std::vector<std::string> RegionFiles(DIR* folder) {
  std::vector<std::string> names;
  while (const dirent* const entry = readdir(folder)) {
    if (absl::StartsWith(entry->d_name, kPrefix)) names.emplace_back(entry->d_name);
  }
  return names;
}

// Removes a file whose server is gone. One that lives holds its lock.
void RemoveIfLeft(int folder, const char* name) {
  const int file = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return;
  struct stat status = {};
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
      Lock(file)) {
    unlinkat(folder, name, 0);
  }
  close(file);
}

std::size_t RoundUpToPage(std::int64_t byte_size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (static_cast<std::size_t>(byte_size) + page - 1) / page * page;
}

}  // namespace

absl::Status RegionBudget::Take(std::int64_t byte_size) {
  const std::lock_guard lock(mutex_);
  if (byte_size > options_.max_bytes - bytes_) {
    return MakeError(
        Reason::kQuotaSharedMemory,
        absl::StrCat("byte_size: ", byte_size, ", the server has ", options_.max_bytes - bytes_,
                     " of ", options_.max_bytes, " bytes of shared memory left"));
  }
  if (regions_ >= options_.max_regions) {
    return MakeError(Reason::kQuotaSharedMemory,
                     absl::StrCat("the server has ", regions_, " regions, the most allowed is ",
                                  options_.max_regions));
  }
  bytes_ += byte_size;
  ++regions_;
  return absl::OkStatus();
}

void RegionBudget::Free(std::int64_t byte_size) {
  const std::lock_guard lock(mutex_);
  bytes_ -= byte_size;
  --regions_;
}

std::int64_t RegionBudget::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

SharedRegion::SharedRegion(std::shared_ptr<RegionBudget> budget, std::string region_id,
                           std::string path, std::int64_t byte_size)
    : budget_(std::move(budget)),
      region_id_(std::move(region_id)),
      path_(std::move(path)),
      byte_size_(byte_size) {}

SharedRegion::~SharedRegion() {
  guard_.reset();
  if (data_ != nullptr) munmap(data_, RoundUpToPage(byte_size_));
  if (file_ >= 0) {
    unlink(path_.c_str());
    close(file_);
  }
  budget_->Free(byte_size_);
}

absl::Status SharedRegion::MakeFile() {
  // Another server that starts just now may take the file for one that was left, and
  // remove it before it is locked.
  do {
    if (file_ >= 0) close(file_);
    file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file_ < 0) return Full("file");
  } while (!Lock(file_));
  // Without this a page that the host does not have would be missed only when touched.
  if (fchmod(file_, 0600) != 0 || posix_fallocate(file_, 0, byte_size_) != 0) {
    return Full("memory");
  }
  return absl::OkStatus();
}

absl::Status SharedRegion::Map() {
  const std::size_t size = RoundUpToPage(byte_size_);
  void* const place =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file_, 0);
  if (place == MAP_FAILED) return Full("address space");
  data_ = static_cast<std::byte*>(place);
  guard_ = std::make_unique<FaultGuard>(place, size);
  return guard_->ok() ? absl::OkStatus() : Full("fault guard");
}

SharedMemory::SharedMemory(const SharedMemoryOptions& options)
    : options_(options), budget_(std::make_shared<RegionBudget>(options)) {}

absl::StatusOr<std::unique_ptr<SharedMemory>> SharedMemory::Open(
    const SharedMemoryOptions& options) {
  DIR* const folder = opendir(options.directory.c_str());
  if (folder == nullptr || faccessat(dirfd(folder), ".", W_OK | X_OK, AT_EACCESS) != 0) {
    const std::string why = std::generic_category().message(errno);
    if (folder != nullptr) closedir(folder);
    return absl::FailedPreconditionError(absl::StrCat(options.directory, ": ", why));
  }
  for (const std::string& name : RegionFiles(folder)) RemoveIfLeft(dirfd(folder), name.c_str());
  closedir(folder);
  SharedMemoryOptions absolute = options;  // Clients have a working folder of their own.
  absolute.directory = std::filesystem::absolute(options.directory).lexically_normal();
  return std::unique_ptr<SharedMemory>(new SharedMemory(absolute));
}

absl::StatusOr<SharedRegionRef> SharedMemory::Create(std::string region_id,
                                                     std::int64_t byte_size) {
  if (byte_size < 1) {
    return MakeError(Reason::kInvalidRequest,
                     absl::StrCat("byte_size: ", byte_size, ", must be 1 or more"));
  }
  DROPOUTD_RETURN_IF_ERROR(budget_->Take(byte_size));
  std::string path = absl::StrCat(options_.directory, "/", kPrefix, region_id);
  const std::shared_ptr<SharedRegion> region(
      new SharedRegion(budget_, std::move(region_id), std::move(path), byte_size));
  DROPOUTD_RETURN_IF_ERROR(region->MakeFile());
  DROPOUTD_RETURN_IF_ERROR(region->Map());
  return region;
}

}  // namespace dropoutd
