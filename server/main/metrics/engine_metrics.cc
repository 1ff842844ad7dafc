#include "server/main/metrics/engine_metrics.h"

#include <chrono>
#include <string>
#include <utility>

namespace dropoutd {
namespace {

// One sample, without labels.
template <typename T>
std::vector<Sample> One(T value) {
  return {{{}, static_cast<double>(value)}};
}

template <typename A, typename B>
std::vector<Sample> ByCache(A mask, B input) {
  return {{{{"cache", "mask"}}, static_cast<double>(mask)},
          {{{"cache", "input"}}, static_cast<double>(input)}};
}

double SecondsOf(Nanoseconds time) { return std::chrono::duration<double>(time).count(); }

void AddDrops(const EngineCounters& counters, MetricFamilies& families) {
  std::vector<Sample> elements;
  std::vector<Sample> dropped;
  std::vector<Sample> expected;
  for (std::size_t i = 0; i < kVariants.size(); ++i) {
    const DropCounters& drops = counters.drops()[i];
    if (drops.elements == 0) continue;
    const std::vector<prometheus::ClientMetric::Label> labels = {
        {"variant", std::string(kVariants[i].name)}};
    elements.push_back({labels, static_cast<double>(drops.elements)});
    dropped.push_back({labels, static_cast<double>(drops.dropped)});
    expected.push_back({labels, drops.expected});
  }
  families.push_back(MakeCounter("dropoutd_mask_elements_total",
                                 "Elements of masks that Forwards drew and that were counted",
                                 elements));
  families.push_back(
      MakeCounter("dropoutd_mask_dropped_total", "Those of them that are dropped", dropped));
  families.push_back(MakeCounter("dropoutd_mask_dropped_expected_total",
                                 "How many of them should be, by their p", expected));
}

}  // namespace

MetricFamilies EngineMetrics(const Engine& engine) {
  const EngineSummary summary = engine.Summary();
  const MaskCache::Counts masks = engine.mask_cache().counts();
  const InputCache::Counts inputs = engine.input_cache().counts();
  const EngineCounters& counters = engine.counters();
  MetricFamilies families = {
      MakeGauge("dropoutd_sessions", "Sessions in memory", One(summary.sessions)),
      MakeGauge("dropoutd_layers", "Their layers, by mode",
                {{{{"mode", "train"}}, static_cast<double>(summary.layers_in_train)},
                 {{{"mode", "eval"}}, static_cast<double>(summary.layers_in_eval)}}),
      MakeGauge("dropoutd_steps", "Records of steps in memory", One(summary.steps)),
      MakeGauge("dropoutd_parameter_bytes", "Parameters of layers", One(summary.parameter_bytes)),
      MakeGauge("dropoutd_cache_bytes", "What a cache holds",
                ByCache(engine.mask_cache().bytes(), engine.input_cache().bytes())),
      MakeCounter("dropoutd_cache_hits_total", "Look-ups that found their entry",
                  ByCache(masks.hits, inputs.hits)),
      MakeCounter("dropoutd_cache_misses_total", "Look-ups of an entry that was evicted",
                  ByCache(masks.misses, inputs.misses)),
      MakeCounter("dropoutd_cache_evictions_total", "Entries that made room for others",
                  ByCache(masks.evictions, inputs.evictions)),
      MakeCounter("dropoutd_masks_regenerated_total", "Masks that were drawn again",
                  One(counters.regenerations())),
      MakeCounter("dropoutd_kernel_seconds_total", "Time in kernels, of all threads together",
                  {{{{"direction", "forward"}}, SecondsOf(counters.kernel_time(true))},
                   {{{"direction", "backward"}}, SecondsOf(counters.kernel_time(false))}}),
  };
  AddDrops(counters, families);
  return families;
}

}  // namespace dropoutd
