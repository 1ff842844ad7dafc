// The thread that removes expired sessions.
#ifndef DROPOUTD_SERVER_SESSION_SWEEPER_H_
#define DROPOUTD_SERVER_SESSION_SWEEPER_H_

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/session/session_keeper.h"

namespace dropoutd {

// Works from its construction to its destruction. Refers to `keeper`, which must outlive it. Only
// lookups decide whether a session is alive; this gives memory back.
class Sweeper {
 public:
  explicit Sweeper(SessionKeeper& keeper);
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

 private:
  void Run();

  SessionKeeper& keeper_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SWEEPER_H_
