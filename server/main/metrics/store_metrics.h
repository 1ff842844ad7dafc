// A store whose operations are timed.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_STORE_METRICS_H_
#define DROPOUTD_SERVER_MAIN_METRICS_STORE_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>

#include "server/store/store.h"

namespace dropoutd {

// Passes every call on to `store`, and measures it into `registry`, which must outlive the answer.
std::unique_ptr<Store> MeasureStore(std::unique_ptr<Store> store, prometheus::Registry& registry);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_STORE_METRICS_H_
