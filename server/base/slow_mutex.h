// A mutex that is held while a store is asked.
#ifndef DROPOUTD_SERVER_BASE_SLOW_MUTEX_H_
#define DROPOUTD_SERVER_BASE_SLOW_MUTEX_H_

#include <atomic>
#include <mutex>

namespace dropoutd {

// As std::mutex. In a simulation, which runs one thread at a time, who waits lets others run.
class SlowMutex {
 public:
  void lock() {
    const Yield yield = yield_;
    if (yield == nullptr) return mutex_.lock();
    while (!mutex_.try_lock()) yield();
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

  // Of the simulation; null for none. Call it while no mutex of this kind is in use.
  using Yield = void (*)();
  static void SetYield(Yield yield) { yield_ = yield; }

 private:
  static inline std::atomic<Yield> yield_ = nullptr;
  std::mutex mutex_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_SLOW_MUTEX_H_
