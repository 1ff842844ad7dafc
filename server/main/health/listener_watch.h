// Notices a listener that no longer accepts.
#ifndef DROPOUTD_SERVER_MAIN_HEALTH_LISTENER_WATCH_H_
#define DROPOUTD_SERVER_MAIN_HEALTH_LISTENER_WATCH_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/main/health/accept_queue.h"
#include "server/main/own_sockets.h"

namespace dropoutd {

// gRPC 1.51 gives a listener up for good when one accept fails, which it does when the process has
// no descriptor left (grpc/grpc issue 20418). From then on clients connect, because the kernel
// answers for the listener, and get no byte.
//
// Looks at the listeners twice a second, on a thread of its own, from construction to Stop. It
// counts looks, so that time in which the whole process stands still does not count. Thread-safe.
class ListenerWatch {
 public:
  // Called from the watch's thread.
  struct Events {
    // false: connections have waited for ten seconds and none was accepted. true: one was.
    std::function<void(bool accepting)> on_change;
    // Ten seconds later none was accepted still. Called once.
    std::function<void()> on_dead;
  };

  // The addresses are as --listen takes them, with the ports in use. Their sockets must stay open
  // until Stop.
  ListenerWatch(const std::vector<std::string>& addresses, Events events);
  ~ListenerWatch() { Stop(); }
  ListenerWatch(const ListenerWatch&) = delete;
  ListenerWatch& operator=(const ListenerWatch&) = delete;

  void Stop();

  bool accepting() const { return accepting_; }

 private:
  struct Watched {
    OwnSocket socket;
    AcceptQueue queue;
  };

  void Run();
  void LookAtAll();

  const Events events_;
  std::vector<Watched> watched_;
  std::atomic<bool> accepting_{true};
  bool is_dead_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_HEALTH_LISTENER_WATCH_H_
