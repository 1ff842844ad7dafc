// What is counted of every call.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_CALL_METRICS_H_
#define DROPOUTD_SERVER_MAIN_METRICS_CALL_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Counts into `registry`, which must outlive it. Thread-safe.
class CallMetrics {
 public:
  explicit CallMetrics(prometheus::Registry& registry);

  void Count(const GatedCall& call, const absl::Status& outcome, double seconds);

 private:
  static constexpr std::size_t kCodes = 17;  // Of gRPC.

  // The series of one RPC, found once, so that a call costs no look-up of labels.
  struct Method {
    std::array<std::atomic<prometheus::Counter*>, kCodes> by_code = {};
    prometheus::Histogram* seconds = nullptr;
    prometheus::Counter* request_bytes = nullptr;
    prometheus::Counter* response_bytes = nullptr;
  };

  void AddMethod(const std::string& name);
  Method& MethodOf(std::string_view name);

  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Family<prometheus::Counter>& request_bytes_;
  prometheus::Family<prometheus::Counter>& response_bytes_;
  prometheus::Family<prometheus::Counter>& errors_;
  std::map<std::string, Method, std::less<>> methods_;  // Fixed after construction.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_CALL_METRICS_H_
