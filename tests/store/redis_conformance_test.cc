// Redis: the conformance suite against a real server.
#include <gtest/gtest.h>

#include <memory>

#include "tests/store/redis_process.h"
#include "tests/store/redis_under_test.h"
#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

INSTANTIATE_TEST_SUITE_P(Redis, StoreConformanceTest,
                         testing::Values(StoreKind{
                             "Redis", [] { return std::make_unique<RedisUnderTest>(); }}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace dropoutd
