// What an engine shows: sessions, caches, kernels, and whether masks drop what they should.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_ENGINE_METRICS_H_
#define DROPOUTD_SERVER_MAIN_METRICS_ENGINE_METRICS_H_

#include "server/engine/engine.h"
#include "server/main/metrics/families.h"

namespace dropoutd {

MetricFamilies EngineMetrics(const Engine& engine);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_ENGINE_METRICS_H_
