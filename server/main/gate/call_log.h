// The log's lines about calls.
#ifndef DROPOUTD_SERVER_MAIN_GATE_CALL_LOG_H_
#define DROPOUTD_SERVER_MAIN_GATE_CALL_LOG_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "server/main/gate/rate_limiter.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Writes a line a call: faults of the server as errors, other failures as warnings (refused
// credentials) or information, calls that succeed as information, or, where they move tensors and
// come by the thousand, for debugging. All but the last are thinned out to a number a second, and
// the next line says how many were left out. Thread-safe.
class CallLog {
 public:
  void Write(const GatedCall& call, const absl::Status& outcome, double seconds);

 private:
  static constexpr std::int64_t kLinesPerSecond = 200;

  RateLimiter rate_{kLinesPerSecond};
  std::atomic<std::int64_t> left_out_{0};
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_GATE_CALL_LOG_H_
