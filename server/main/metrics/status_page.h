// The page for a person who wants to know how a server is.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_STATUS_PAGE_H_
#define DROPOUTD_SERVER_MAIN_METRICS_STATUS_PAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "server/main/metrics/recent_errors.h"

namespace dropoutd {

// No secrets: neither tokens, nor seeds, nor what clients sent.
struct StatusReport {
  using Row = std::vector<std::string>;

  using Facts = std::vector<std::pair<std::string, std::string>>;  // Name and value.

  Facts server;
  Facts sessions;  // How many, and what they hold; not which.
  std::vector<RecentErrors::Entry> errors;
};

// As HTML, with everything escaped.
std::string StatusPage(const StatusReport& report);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_STATUS_PAGE_H_
