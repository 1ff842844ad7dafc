// The thread that removes expired sessions.
#ifndef DROPOUTD_SERVER_ENGINE_SWEEPER_H_
#define DROPOUTD_SERVER_ENGINE_SWEEPER_H_

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/persistence/repository.h"

namespace dropoutd {

// Whether an engine removes by itself what has expired, or its caller has to.
enum class Sweeping { kByThread, kByCaller };

// Works from its construction to its destruction. Refers to `repository`, which must outlive it.
// Only lookups decide whether a session is alive; this gives memory back.
class Sweeper {
 public:
  explicit Sweeper(Repository& repository);
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

 private:
  void Run();

  Repository& repository_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_ENGINE_SWEEPER_H_
