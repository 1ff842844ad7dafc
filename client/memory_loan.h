// The caller's memory in gRPC's hands.
#ifndef DROPOUTD_CLIENT_MEMORY_LOAN_H_
#define DROPOUTD_CLIENT_MEMORY_LOAN_H_

#include <grpcpp/support/slice.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace dropout {

// Lends memory to gRPC as slices and knows when gRPC has let go of all of them. The owner
// waits for that before the memory, or the loan, ends. Thread-safe.
class MemoryLoan {
 public:
  MemoryLoan() = default;
  MemoryLoan(const MemoryLoan&) = delete;
  MemoryLoan& operator=(const MemoryLoan&) = delete;

  // A slice that refers to the memory.
  grpc::Slice Lend(const void* data, std::size_t size);

  // Waits until nothing is lent any more; false if `limit` passes first.
  bool WaitForReturn(std::chrono::nanoseconds limit);
  void WaitForReturn();

 private:
  void Return();

  std::mutex mutex_;
  std::condition_variable returned_;
  int lent_ = 0;
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_MEMORY_LOAN_H_
