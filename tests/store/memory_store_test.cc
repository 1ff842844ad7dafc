#include "server/store/memory_store.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, StoreConformanceTest, testing::Values(MakeStoreKind("Memory")),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace dropoutd
