#include "server/kernels/simd_target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd::kernels {
namespace {

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class SimdTargetTest : public SimdTargetFixture {};

TEST_P(SimdTargetTest, RunsWhereItIsForced) {
  std::printf("kernels ran on %s\n", SimdTarget().c_str());
  EXPECT_EQ(SimdTarget(), GetParam());
}

TEST_P(SimdTargetTest, ForcingLeavesTheListOfTargets) {
  const std::vector<std::string> names = SimdTargets();
  EXPECT_TRUE(Has(names, GetParam()));
  ASSERT_TRUE(ForceSimdTarget(""));
  EXPECT_EQ(SimdTargets(), names);
  ASSERT_TRUE(ForceSimdTarget(GetParam()));
}

TEST_P(SimdTargetTest, UnknownNameIsRefusedAndChangesNothing) {
  EXPECT_FALSE(ForceSimdTarget("MMX"));
  EXPECT_FALSE(ForceSimdTarget("avx2"));
  EXPECT_FALSE(ForceSimdTarget("AVX2 "));
  EXPECT_EQ(SimdTarget(), GetParam());
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(SimdTargetTest);

TEST(SimdTargets, BestIsFirstAndRunsUnforced) {
  ASSERT_FALSE(SimdTargets().empty());
  EXPECT_EQ(SimdTarget(), SimdTargets().front());
}

TEST(SimdTargets, NoneTwice) {
  std::vector<std::string> names = SimdTargets();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
}

#if defined(__x86_64__)
// What the compiler's own runtime says of the processor, against Highway's list.
TEST(SimdTargets, AllThatTheProcessorHas) {
  __builtin_cpu_init();
  EXPECT_TRUE(Has(SimdTargets(), "SSSE3"));
  EXPECT_EQ(Has(SimdTargets(), "SSE4"), __builtin_cpu_supports("sse4.2") != 0);
  EXPECT_EQ(Has(SimdTargets(), "AVX2"), __builtin_cpu_supports("avx2") != 0);
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  EXPECT_EQ(Has(SimdTargets(), "AVX3"), has_avx512);
}
#endif

}  // namespace
}  // namespace dropoutd::kernels
