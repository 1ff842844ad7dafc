// The last calls that failed, for a person who looks.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_RECENT_ERRORS_H_
#define DROPOUTD_SERVER_MAIN_METRICS_RECENT_ERRORS_H_

#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Thread-safe.
class RecentErrors {
 public:
  // Nothing of what the client sent but its name for the call.
  struct Entry {
    absl::Time time;
    std::string method;
    std::string code;
    std::string reason;
    std::string request_id;
  };

  void Add(const GatedCall& call, const absl::Status& outcome);

  // The newest first.
  std::vector<Entry> Entries() const;

 private:
  static constexpr std::size_t kKept = 20;

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_RECENT_ERRORS_H_
