// The thread that notices changed files.
#ifndef DROPOUTD_SERVER_MAIN_RELOAD_RELOADER_H_
#define DROPOUTD_SERVER_MAIN_RELOAD_RELOADER_H_

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/main/reload/watched_files.h"

namespace dropoutd {

// Loads files again within about a second of a change; what cannot be used is logged, and what
// was in force stays. Thread-safe once it has started.
class Reloader {
 public:
  Reloader() = default;
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // Loads `files` and keeps them up to date from Start on. Only before Start.
  absl::Status Add(WatchedFiles files);
  void Start();

  // Loads all files now, changed or not.
  void ReloadAll();

  // Whether some files cannot be used as they are now.
  bool failed() const { return failed_; }

 private:
  struct Watch {
    WatchedFiles files;
    std::string last_error;  // Logged already; empty once a load has succeeded.
  };

  void Run();
  void Reload(Watch& watch);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::vector<Watch> watches_;
  std::atomic<bool> failed_{false};
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_RELOAD_RELOADER_H_
