// What the kernel says of this process, under the names that Prometheus' own libraries use.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_PROCESS_METRICS_H_
#define DROPOUTD_SERVER_MAIN_METRICS_PROCESS_METRICS_H_

#include "server/main/metrics/families.h"

namespace dropoutd {

MetricFamilies ProcessMetrics();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_PROCESS_METRICS_H_
