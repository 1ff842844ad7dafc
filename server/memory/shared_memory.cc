#include "server/memory/shared_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

constexpr std::size_t kNameLength = 32;

// Whether the name is one that Create gives: 128 bits as hexadecimal digits.
bool IsRegionName(std::string_view name) {
  return name.size() == kNameLength &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

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

absl::Status CannotUse(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat("--shared_memory_dir: ", path, ": ", why));
}

constexpr char kRemoveIt[] = "; remove it, or give another --shared_memory_dir";

std::string LastError() { return std::generic_category().message(errno); }

}  // namespace

RegionBudget::RegionBudget(const SharedMemoryOptions& options)
    : bytes_({.reason = Reason::kQuotaSharedMemory,
              .things = "bytes of shared memory",
              .flag = "max_shared_memory_bytes",
              .most = static_cast<std::size_t>(options.max_bytes),
              .most_of_tenant = options.tenant_max_bytes,
              .remedy = "delete regions"}),
      regions_({.reason = Reason::kQuotaSharedMemory,
                .things = "regions of shared memory",
                .most = options.max_regions,
                .most_of_tenant = options.tenant_max_regions,
                .remedy = "delete regions"}) {}

absl::StatusOr<RegionBudget::Share> RegionBudget::Take(std::string_view tenant,
                                                       std::int64_t byte_size) {
  Share share;
  DROPOUTD_ASSIGN_OR_RETURN(share.bytes, bytes_.Take(tenant, static_cast<std::size_t>(byte_size)));
  DROPOUTD_ASSIGN_OR_RETURN(share.region, regions_.Take(tenant, 1));
  return share;
}

absl::StatusOr<std::shared_ptr<const RegionFolder>> RegionFolder::Open(
    const std::string& directory) {
  std::string path = absl::StrCat(directory, "/dropoutd-", geteuid());
  if (mkdir(path.c_str(), 0700) == 0) {
    // The umask may have taken some of it.
    if (chmod(path.c_str(), 0700) != 0) return CannotUse(path, LastError());
  } else if (errno == ENOENT) {
    return CannotUse(directory, "there is no such folder");
  } else if (errno != EEXIST) {
    return CannotUse(path, LastError());
  }
  struct stat status = {};
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (folder < 0) {
    const bool is_other = errno == ENOTDIR || errno == ELOOP;
    return CannotUse(path, is_other ? absl::StrCat("is not a folder", kRemoveIt) : LastError());
  }
  std::shared_ptr<const RegionFolder> opened(new RegionFolder(folder, std::move(path)));
  if (fstat(folder, &status) != 0) return CannotUse(opened->path(), LastError());
  if (status.st_uid != geteuid()) {
    return CannotUse(opened->path(),
                     absl::StrCat("belongs to the user ", status.st_uid, ", must belong to ",
                                  geteuid(), ", who runs this server", kRemoveIt));
  }
  if ((status.st_mode & 0777) != 0700) {
    return CannotUse(opened->path(), absl::StrFormat("has the mode %04o, must have 0700%s",
                                                     status.st_mode & 0777, kRemoveIt));
  }
  return opened;
}

RegionFolder::~RegionFolder() { close(descriptor_); }

void RegionFolder::RemoveLeftRegions() const {
  // A description of its own: the place in a listing belongs to it.
  const int listed = openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const entries = listed < 0 ? nullptr : fdopendir(listed);
  if (entries == nullptr) {
    if (listed >= 0) close(listed);
    return;
  }
  std::vector<std::string> names;
  while (const dirent* const entry = readdir(entries)) {
    if (IsRegionName(entry->d_name)) names.emplace_back(entry->d_name);
  }
  closedir(entries);
  for (const std::string& name : names) RemoveIfLeft(descriptor_, name.c_str());
}

SharedRegion::SharedRegion(RegionBudget::Share share, std::shared_ptr<const RegionFolder> folder,
                           std::string region_id, std::int64_t byte_size)
    : share_(std::move(share)),
      folder_(std::move(folder)),
      region_id_(std::move(region_id)),
      path_(absl::StrCat(folder_->path(), "/", region_id_)),
      byte_size_(byte_size) {}

bool SharedRegion::IsWhole() const {
  struct stat status = {};
  return !broken() && fstat(file_, &status) == 0 && status.st_size >= byte_size_;
}

SharedRegion::~SharedRegion() {
  guard_.reset();
  if (data_ != nullptr) munmap(data_, RoundUpToPage(byte_size_));
  if (file_ >= 0) {
    unlinkat(folder_->descriptor(), region_id_.c_str(), 0);
    close(file_);
  }
}

absl::Status SharedRegion::MakeFile() {
  // Another server that starts just now may take the file for one that was left, and
  // remove it before it is locked.
  do {
    if (file_ >= 0) close(file_);
    file_ = openat(folder_->descriptor(), region_id_.c_str(),
                   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
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

SharedMemory::SharedMemory(const SharedMemoryOptions& options,
                           std::shared_ptr<const RegionFolder> folder)
    : options_(options), budget_(options), folder_(std::move(folder)) {}

absl::StatusOr<std::unique_ptr<SharedMemory>> SharedMemory::Open(
    const SharedMemoryOptions& options) {
  SharedMemoryOptions absolute = options;  // Clients have a working folder of their own.
  absolute.directory = std::filesystem::absolute(options.directory).lexically_normal();
  DROPOUTD_ASSIGN_OR_RETURN(auto folder, RegionFolder::Open(absolute.directory));
  folder->RemoveLeftRegions();
  return std::unique_ptr<SharedMemory>(new SharedMemory(absolute, std::move(folder)));
}

absl::StatusOr<std::shared_ptr<const RegionFolder>> SharedMemory::Folder() {
  const std::lock_guard lock(mutex_);
  struct stat status = {};
  if (fstat(folder_->descriptor(), &status) == 0 && status.st_nlink == 0) {
    auto anew = RegionFolder::Open(options_.directory);
    if (!anew.ok()) return Full("folder");
    folder_ = *std::move(anew);
  }
  return folder_;
}

absl::StatusOr<SharedRegionRef> SharedMemory::Create(std::string_view tenant, std::string region_id,
                                                     std::int64_t byte_size) {
  if (byte_size < 1) {
    return MakeError(Reason::kInvalidRequest,
                     absl::StrCat("byte_size: ", byte_size, ", must be 1 or more"));
  }
  if (!IsRegionName(region_id)) {
    return absl::InternalError("region_id: must be 32 lower-case hexadecimal digits");
  }
  DROPOUTD_ASSIGN_OR_RETURN(auto folder, Folder());
  DROPOUTD_ASSIGN_OR_RETURN(RegionBudget::Share share, budget_.Take(tenant, byte_size));
  const std::shared_ptr<SharedRegion> region(
      new SharedRegion(std::move(share), std::move(folder), std::move(region_id), byte_size));
  DROPOUTD_RETURN_IF_ERROR(region->MakeFile());
  DROPOUTD_RETURN_IF_ERROR(region->Map());
  return region;
}

}  // namespace dropoutd
