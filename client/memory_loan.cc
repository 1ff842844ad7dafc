#include "client/memory_loan.h"

namespace dropout {

grpc::Slice MemoryLoan::Lend(const void* data, std::size_t size) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++lent_;
  }
  // gRPC reads slices and never writes to them.
  return grpc::Slice(
      const_cast<void*>(data), size, [](void* loan) { static_cast<MemoryLoan*>(loan)->Return(); },
      this);
}

bool MemoryLoan::WaitForReturn(std::chrono::nanoseconds limit) {
  std::unique_lock<std::mutex> lock(mutex_);
  return returned_.wait_for(lock, limit, [this] { return lent_ == 0; });
}

void MemoryLoan::WaitForReturn() {
  std::unique_lock<std::mutex> lock(mutex_);
  returned_.wait(lock, [this] { return lent_ == 0; });
}

void MemoryLoan::Return() {
  // Under the lock to the end: the owner may end the loan as soon as it has it.
  const std::lock_guard<std::mutex> lock(mutex_);
  if (--lent_ == 0) returned_.notify_all();
}

}  // namespace dropout
