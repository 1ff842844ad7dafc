#include "server/main/metrics/families.h"

#include <utility>

namespace dropoutd {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Make(std::string name, std::string help, MetricType type,
                  const std::vector<Sample>& samples) {
  MetricFamily family{std::move(name), std::move(help), type, {}};
  for (const Sample& sample : samples) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = sample.labels;
    (type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) = sample.value;
  }
  return family;
}

}  // namespace

MetricFamily MakeGauge(std::string name, std::string help, const std::vector<Sample>& samples) {
  return Make(std::move(name), std::move(help), MetricType::Gauge, samples);
}

MetricFamily MakeCounter(std::string name, std::string help, const std::vector<Sample>& samples) {
  return Make(std::move(name), std::move(help), MetricType::Counter, samples);
}

}  // namespace dropoutd
