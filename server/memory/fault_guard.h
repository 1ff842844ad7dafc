// Survives the loss of memory that others can take away: pages of a mapped file that
// another process has cut off.
#ifndef DROPOUTD_SERVER_MEMORY_FAULT_GUARD_H_
#define DROPOUTD_SERVER_MEMORY_FAULT_GUARD_H_

#include <cstddef>

namespace dropoutd {

// While it lives, an access to a page of the range that has gone does not end the process
// with SIGBUS: the rest of the range, from that page on, becomes private zeros, the access
// is repeated, and broken() is true from then on. The first guard installs the process's
// handler of SIGBUS; faults elsewhere go to the handler before it.
//
// Thread-safe; no access may run when it ends. Not movable: the handler knows its place.
class FaultGuard {
 public:
  // How many there can be at once.
  static constexpr std::size_t kMaxGuards = 8192;

  // `begin` is the start of a mapping, `size` a multiple of the page size. If all guards are
  // taken, ok() is false and nothing is guarded.
  FaultGuard(void* begin, std::size_t size);
  ~FaultGuard();
  FaultGuard(const FaultGuard&) = delete;
  FaultGuard& operator=(const FaultGuard&) = delete;

  bool ok() const { return slot_ != nullptr; }
  bool broken() const;

 private:
  struct Slot;
  friend class FaultTable;

  Slot* slot_ = nullptr;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MEMORY_FAULT_GUARD_H_
