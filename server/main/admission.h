// The gate of a running server: bytes in flight, and draining.
#ifndef DROPOUTD_SERVER_MAIN_ADMISSION_H_
#define DROPOUTD_SERVER_MAIN_ADMISSION_H_

#include <atomic>
#include <cstddef>

#include "server/service/call_gate.h"

namespace dropoutd {

// Thread-safe.
class Admission final : public CallGate {
 public:
  explicit Admission(std::size_t max_bytes_in_flight) : max_bytes_(max_bytes_in_flight) {}

  absl::Status Enter(std::size_t byte_size) override;
  void Leave(std::size_t byte_size) override;

  // From now on calls are refused with DRAINING; those inside go on.
  void Drain() { draining_ = true; }

 private:
  const std::size_t max_bytes_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<bool> draining_{false};
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_ADMISSION_H_
