// The measured store does what every store must do.
#include "server/main/metrics/store_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

StoreKind Measured(const std::string& name) {
  const auto registry = std::make_shared<prometheus::Registry>();
  return MakeStoreKind(
      name, [registry](auto store) { return MeasureStore(std::move(store), *registry); });
}

INSTANTIATE_TEST_SUITE_P(Measured, StoreConformanceTest,
                         testing::Values(Measured("Memory"), Measured("Sqlite"), Measured("Redis")),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace dropoutd
