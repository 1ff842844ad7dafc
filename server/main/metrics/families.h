// Metrics whose values are looked up when they are asked for.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_FAMILIES_H_
#define DROPOUTD_SERVER_MAIN_METRICS_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace dropoutd {

using MetricFamilies = std::vector<prometheus::MetricFamily>;

struct Sample {
  std::vector<prometheus::ClientMetric::Label> labels;
  double value = 0.0;
};

// Families of one type and name.
prometheus::MetricFamily MakeGauge(std::string name, std::string help,
                                   const std::vector<Sample>& samples);
prometheus::MetricFamily MakeCounter(std::string name, std::string help,
                                     const std::vector<Sample>& samples);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_FAMILIES_H_
