// Runs a test once on each instruction set of this build and processor.
#ifndef DROPOUTD_TESTS_KERNELS_SIMD_TARGET_FIXTURE_H_
#define DROPOUTD_TESTS_KERNELS_SIMD_TARGET_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>

#include "server/kernels/simd_target.h"

namespace dropoutd {

// Forces the set that is the test's parameter, and proves by dispatched code that it runs.
class SimdTargetFixture : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    best_ = kernels::SimdTarget();
    ASSERT_TRUE(kernels::ForceSimdTarget(GetParam()));
    ASSERT_EQ(kernels::SimdTarget(), GetParam());
    RecordProperty("simd_target", kernels::SimdTarget());
  }

  void TearDown() override {
    EXPECT_EQ(kernels::SimdTarget(), GetParam());
    ASSERT_TRUE(kernels::ForceSimdTarget(""));
    EXPECT_EQ(kernels::SimdTarget(), best_);
  }

 private:
  std::string best_;
};

inline std::string SimdTargetName(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace dropoutd

// Instantiates a suite that is a SimdTargetFixture.
#define DROPOUTD_FOR_EVERY_SIMD_TARGET(suite)                                            \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(dropoutd::kernels::SimdTargets()), \
                           dropoutd::SimdTargetName)

#endif  // DROPOUTD_TESTS_KERNELS_SIMD_TARGET_FIXTURE_H_
