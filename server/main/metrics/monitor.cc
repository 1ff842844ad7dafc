#include "server/main/metrics/monitor.h"

#include <prometheus/text_serializer.h>

#include <iterator>
#include <map>
#include <utility>

#include "server/base/status_macros.h"
#include "server/main/metrics/process_metrics.h"

namespace dropoutd {

void Monitor::Count(const GatedCall& call, const absl::Status& outcome, double seconds) {
  calls_.Count(call, outcome, seconds);
  if (!outcome.ok()) errors_.Add(call, outcome);
}

std::string Monitor::MetricsText() const {
  MetricFamilies families = registry_.Collect();
  for (const auto& look : looked_up_) {
    MetricFamilies more = look();
    families.insert(families.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  }
  return prometheus::TextSerializer().Serialize(families);
}

absl::Status Monitor::Listen(const std::string& address, Sources sources) {
  looked_up_ = {std::move(sources.metrics), ProcessMetrics};
  std::map<std::string, HttpPage> pages;
  pages["/metrics"].make = [this] {
    return HttpAnswer{200, "text/plain; version=0.0.4; charset=utf-8", MetricsText()};
  };
  pages["/healthz"] = {.make = [] { return HttpAnswer{.body = "alive\n"}; }, .is_instant = true};
  pages["/readyz"] = {.make =
                          [is_ready = std::move(sources.is_ready)] {
                            return is_ready() ? HttpAnswer{.body = "ready\n"}
                                              : HttpAnswer{.code = 503, .body = "not ready\n"};
                          },
                      .is_instant = true};
  pages["/statusz"].make = [this, status = std::move(sources.status)] {
    StatusReport report = status();
    report.errors = errors_.Entries();
    return HttpAnswer{200, "text/html; charset=utf-8", StatusPage(report)};
  };
  DROPOUTD_ASSIGN_OR_RETURN(endpoint_, HttpEndpoint::Start(address, std::move(pages)));
  return absl::OkStatus();
}

}  // namespace dropoutd
