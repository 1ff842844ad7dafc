// What may be under way at once, and how fast: in all, and of each tenant.
#ifndef DROPOUTD_SERVER_MAIN_GATE_ADMISSION_H_
#define DROPOUTD_SERVER_MAIN_GATE_ADMISSION_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/base/quota.h"
#include "server/main/gate/rate_limiter.h"

namespace dropoutd {

// 0: no limit.
struct AdmissionLimits {
  std::int64_t bytes_in_flight = 0;
  std::int64_t calls_per_second = 0;
  std::int64_t streams = 0;
};

// What a call asks for.
struct Admittance {
  std::string_view tenant;
  std::int64_t bytes = 0;
  bool is_stream = false;
};

// Thread-safe.
class Admission {
 public:
  Admission(const AdmissionLimits& total, const AdmissionLimits& tenant)
      : total_(total), tenant_limits_(tenant) {}

  // DRAINING, QUOTA_CALL_RATE, QUOTA_STREAMS, QUOTA_BYTES_IN_FLIGHT. Leave must follow with the
  // same if it is OK.
  absl::Status Enter(const Admittance& call, std::chrono::steady_clock::time_point now);
  void Leave(const Admittance& call);

  // Takes bytes for a call that is inside, which is no further call and goes on while others are
  // refused. QUOTA_BYTES_IN_FLIGHT. Refund must follow with the same if it is OK.
  absl::Status Charge(std::string_view tenant, std::int64_t bytes);
  void Refund(std::string_view tenant, std::int64_t bytes);

  // From now on calls are refused with DRAINING; those inside go on.
  void Drain() { draining_ = true; }
  bool draining() const { return draining_; }

  // After Drain: waits until all calls have left. False if some are still inside at the deadline.
  bool AwaitEmpty(std::chrono::steady_clock::time_point deadline);

  std::int64_t bytes_in_flight() const { return total_.bytes; }
  std::int64_t streams() const { return total_.streams; }
  std::int64_t calls() const { return calls_; }

 private:
  // What one party has under way.
  struct Party {
    explicit Party(const AdmissionLimits& limits_in)
        : limits(limits_in), rate(limits_in.calls_per_second) {}

    // `whose` the limits are, for the message.
    absl::Status Enter(const Admittance& call, std::chrono::steady_clock::time_point now,
                       QuotaLimit whose);
    void Leave(const Admittance& call);
    absl::Status Charge(std::int64_t bytes, QuotaLimit whose);

    const AdmissionLimits limits;
    RateLimiter rate;
    std::atomic<std::int64_t> bytes{0};
    std::atomic<std::int64_t> streams{0};
  };

  Party& PartyOf(std::string_view tenant);
  absl::Status EnterParties(const Admittance& call, std::chrono::steady_clock::time_point now);
  void CountOut();

  Party total_;
  const AdmissionLimits tenant_limits_;
  std::atomic<bool> draining_{false};
  std::atomic<std::int64_t> calls_{0};  // Inside, operations of streams among them.
  std::mutex empty_mutex_;
  std::condition_variable empty_;  // Notified when draining_ and calls_ is 0.
  std::shared_mutex mutex_;
  // Those that ever came; as many as the operator gave credentials to.
  std::map<std::string, std::unique_ptr<Party>, std::less<>> tenants_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_GATE_ADMISSION_H_
