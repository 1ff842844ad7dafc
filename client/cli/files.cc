#include "client/cli/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dropout::cli {
namespace {

absl::Status LastError(absl::string_view verb, const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat(
      "cannot ", verb, " ", path == "-" ? "standard stream" : path, ": ", std::strerror(errno)));
}

// What the path finally names, so that a symbolic link stays one.
std::string Resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real != nullptr ? std::string(real.get()) : path;
}

// The permissions of a file made in the usual way.
mode_t DefaultMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

absl::StatusOr<FilePtr> OpenInput(const std::string& path) {
  if (path == "-") return FilePtr(stdin);
  FilePtr file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return LastError("read", path);
  return file;
}

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  auto file = OpenInput(path);
  if (!file.ok()) return file.status();
  std::string text;
  char buffer[65536];
  while (const std::size_t count = std::fread(buffer, 1, sizeof(buffer), file->get())) {
    text.append(buffer, count);
  }
  if (std::ferror(file->get()) != 0) return LastError("read", path);
  return text;
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path) {
  if (path == "-") return OutputFile(FilePtr(stdout), path, "");
  struct stat info;
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    FilePtr file(std::fopen(path.c_str(), "wb"));
    if (file == nullptr) return LastError("write", path);
    return OutputFile(std::move(file), path, "");
  }
  if (exists && access(path.c_str(), W_OK) != 0) return LastError("write", path);
  const std::string target = Resolved(path);
  std::string temporary = target + ".XXXXXX";
  const int descriptor = mkstemp(temporary.data());
  if (descriptor < 0) return LastError("write", path);
  fchmod(descriptor, exists ? info.st_mode & 07777 : DefaultMode());
  return OutputFile(FilePtr(fdopen(descriptor, "wb")), target, std::move(temporary));
}

OutputFile::OutputFile(FilePtr file, std::string path, std::string temporary)
    : file_(std::move(file)), path_(std::move(path)), temporary_(std::move(temporary)) {}

OutputFile::~OutputFile() {
  if (file_ != nullptr && !temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status OutputFile::Commit() {
  if (std::fflush(file_.get()) != 0 || std::ferror(file_.get()) != 0) {
    return LastError("write", path_);
  }
  if (!temporary_.empty() && std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return LastError("write", path_);
  }
  file_.reset();
  return absl::OkStatus();
}

}  // namespace dropout::cli
