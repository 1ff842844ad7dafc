// What a server shows of itself to its operators, over HTTP.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_MONITOR_H_
#define DROPOUTD_SERVER_MAIN_METRICS_MONITOR_H_

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/main/metrics/call_metrics.h"
#include "server/main/metrics/families.h"
#include "server/main/metrics/http_endpoint.h"
#include "server/main/metrics/recent_errors.h"
#include "server/main/metrics/status_page.h"

namespace dropoutd {

// Pages: /metrics for Prometheus; /healthz, the process is alive; /readyz, it takes calls;
// /statusz, for a person. Thread-safe once it listens.
class Monitor {
 public:
  // What the pages show besides calls. Called from threads of the endpoint.
  struct Sources {
    std::function<MetricFamilies()> metrics;
    std::function<bool()> is_ready;        // Returns at once.
    std::function<StatusReport()> status;  // `errors` is filled in here.
  };

  Monitor() : calls_(registry_) {}

  // Where others put what they measure.
  prometheus::Registry& registry() { return registry_; }

  void Count(const GatedCall& call, const absl::Status& outcome, double seconds);

  // Shows the pages at `address` until Stop or destruction; the sources must live so long.
  absl::Status Listen(const std::string& address, Sources sources);
  void Stop() { endpoint_.reset(); }

  // Where it listens, with the port that was picked; empty if it does not.
  std::string address() const { return endpoint_ == nullptr ? "" : endpoint_->address(); }

 private:
  std::string MetricsText() const;

  prometheus::Registry registry_;
  CallMetrics calls_;
  RecentErrors errors_;
  std::vector<std::function<MetricFamilies()>> looked_up_;
  std::unique_ptr<HttpEndpoint> endpoint_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_MONITOR_H_
