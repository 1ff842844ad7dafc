// Files that are read at the start, and again when they change.
#ifndef DROPOUTD_SERVER_MAIN_RELOAD_WATCHED_FILES_H_
#define DROPOUTD_SERVER_MAIN_RELOAD_WATCHED_FILES_H_

#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace dropoutd {

// Files that belong together, as a certificate and its key. Not thread-safe.
class WatchedFiles {
 public:
  // Takes the files' contents, in the order of the paths, or says what is wrong with them and
  // changes nothing.
  using Apply = std::function<absl::Status(std::vector<std::string> contents)>;

  WatchedFiles(std::vector<std::string> paths, Apply apply);

  const std::vector<std::string>& paths() const { return paths_; }

  // Whether a file is not what was last applied.
  bool Changed() const;

  // Reads and applies the files. After an error, Changed stays true. UNAVAILABLE names a file
  // that cannot be read, or that changed while it was read.
  absl::Status Load();

 private:
  // What tells one content of a path from another.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    timespec changed = {};

    friend bool operator==(const Stamp& a, const Stamp& b) {
      return a.device == b.device && a.inode == b.inode && a.size == b.size &&
             a.changed.tv_sec == b.changed.tv_sec && a.changed.tv_nsec == b.changed.tv_nsec;
    }
  };

  static Stamp StampOf(const std::string& path);
  std::vector<Stamp> Stamps() const;

  const std::vector<std::string> paths_;
  const Apply apply_;
  std::vector<Stamp> applied_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_RELOAD_WATCHED_FILES_H_
