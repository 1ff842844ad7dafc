#include "server/main/reload/watched_files.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dropoutd {

WatchedFiles::WatchedFiles(std::vector<std::string> paths, Apply apply)
    : paths_(std::move(paths)), apply_(std::move(apply)) {}

WatchedFiles::Stamp WatchedFiles::StampOf(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_size, status.st_ctim};
}

std::vector<WatchedFiles::Stamp> WatchedFiles::Stamps() const {
  std::vector<Stamp> stamps;
  for (const std::string& path : paths_) stamps.push_back(StampOf(path));
  return stamps;
}

bool WatchedFiles::Changed() const { return Stamps() != applied_; }

absl::Status WatchedFiles::Load() {
  std::vector<Stamp> before = Stamps();
  std::vector<std::string> contents;
  for (const std::string& path : paths_) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (!file.good() && !file.eof()) return absl::UnavailableError("cannot read " + path);
  }
  if (Stamps() != before) {
    return absl::UnavailableError(absl::StrCat(paths_.front(), " changed while it was read"));
  }
  absl::Status status = apply_(std::move(contents));
  if (status.ok()) applied_ = std::move(before);
  return status;
}

}  // namespace dropoutd
