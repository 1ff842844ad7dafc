#include "server/memory/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace dropoutd {

// What the handler reads: no locks, no memory of its own.
struct FaultGuard::Slot {
  std::atomic<bool> taken{false};
  std::atomic<std::uintptr_t> begin{0};  // 0: guards nothing.
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> broken{false};
};

class FaultTable {
 public:
  using Slot = FaultGuard::Slot;

  // Null if all are taken.
  static Slot* Take() {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].taken.exchange(true)) continue;
      std::size_t used = used_;
      while (used <= i && !used_.compare_exchange_weak(used, i + 1)) {
      }
      return &slots_[i];
    }
    return nullptr;
  }

  static Slot* Find(std::uintptr_t address) {
    const std::size_t used = used_;
    for (std::size_t i = 0; i < used; ++i) {
      Slot& slot = slots_[i];
      const std::uintptr_t begin = slot.begin;
      if (begin != 0 && address >= begin && address < slot.end) return &slot;
    }
    return nullptr;
  }

 private:
  static inline std::array<Slot, FaultGuard::kMaxGuards> slots_;
  static inline std::atomic<std::size_t> used_{0};  // Slots past this were never taken.
};

namespace {

std::uintptr_t page_size = 4096;
struct sigaction handler_before;

// Maps zeros over what is left of the slot's range from the page of `address` on.
bool Replace(std::uintptr_t address, std::uintptr_t end) {
  const std::uintptr_t page = address / page_size * page_size;
  return mmap(reinterpret_cast<void*>(page), end - page, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

void OnBusError(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  auto* const slot = FaultTable::Find(address);
  if (slot != nullptr) {
    slot->broken = true;
    if (Replace(address, slot->end)) {
      errno = saved_errno;
      return;
    }
  }
  // Not ours. With the handler before in place the access faults again, or ends the process.
  if ((handler_before.sa_flags & SA_SIGINFO) != 0) {
    handler_before.sa_sigaction(signal, info, context);
  } else {
    sigaction(SIGBUS, &handler_before, nullptr);
  }
  errno = saved_errno;
}

void InstallHandler() {
  page_size = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &handler_before);
}

}  // namespace

FaultGuard::FaultGuard(void* begin, std::size_t size) {
  static std::once_flag installed;
  std::call_once(installed, InstallHandler);
  slot_ = FaultTable::Take();
  if (slot_ == nullptr) return;
  slot_->broken = false;
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  slot_->end = address + size;
  slot_->begin = address;
}

FaultGuard::~FaultGuard() {
  if (slot_ == nullptr) return;
  slot_->begin = 0;
  slot_->taken = false;
}

bool FaultGuard::broken() const { return slot_->broken; }

}  // namespace dropoutd
