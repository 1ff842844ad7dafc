#include "tests/engine/tensor_gate.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace dropoutd {
namespace {

// Much more than any of the calls that are made in between needs.
constexpr int kPatienceMilliseconds = 30'000;

std::atomic<TensorGate*> active_gate{nullptr};

void Require(bool condition) {
  if (!condition) std::abort();
}

void Send(int fd) {
  const char byte = 0;
  Require(write(fd, &byte, 1) == 1);
}

// False if nothing was sent in time.
bool Receive(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  if (poll(&waiting, 1, kPatienceMilliseconds) != 1) return false;
  char byte;
  Require(read(fd, &byte, 1) == 1);
  return true;
}

}  // namespace

TensorGate::TensorGate(std::size_t byte_size) : byte_size_(byte_size) {
  Require(pipe(arrived_.data()) == 0 && pipe(opened_.data()) == 0);
  memory_ = mmap(nullptr, byte_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Require(memory_ != MAP_FAILED);
  TensorGate* none = nullptr;
  Require(active_gate.compare_exchange_strong(none, this));
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) { HandleFault(info->si_addr); };
  Require(sigaction(SIGSEGV, &action, &before_) == 0);
}

TensorGate::~TensorGate() {
  Require(sigaction(SIGSEGV, &before_, nullptr) == 0);
  active_gate = nullptr;
  munmap(memory_, byte_size_);
  for (const int fd : {arrived_[0], arrived_[1], opened_[0], opened_[1]}) close(fd);
}

bool TensorGate::AwaitVisitor() { return Receive(arrived_[0]); }

void TensorGate::Open() { Send(opened_[1]); }

void TensorGate::HandleFault(void* address) {
  TensorGate* const gate = active_gate;
  const auto* const place = static_cast<const std::byte*>(address);
  const auto* const begin = gate == nullptr ? nullptr : static_cast<std::byte*>(gate->memory_);
  if (begin == nullptr || place < begin || place >= begin + gate->byte_size_) {
    // A true fault: it happens again, and ends the process.
    signal(SIGSEGV, SIG_DFL);
    return;
  }
  gate->Hold();
}

void TensorGate::Hold() {
  Send(arrived_[1]);
  if (!Receive(opened_[0])) gave_up_ = true;
  Require(mprotect(memory_, byte_size_, PROT_READ | PROT_WRITE) == 0);
}

}  // namespace dropoutd
