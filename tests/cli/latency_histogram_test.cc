#include "client/cli/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace dropout::cli {
namespace {

using std::chrono::nanoseconds;

TEST(LatencyHistogramTest, NothingIsZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(0.5), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
}

TEST(LatencyHistogramTest, OneValueIsEveryPercentile) {
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{255}, std::int64_t{256},
        std::int64_t{123'456'789}, std::int64_t{1} << 60, INT64_MAX}) {
    LatencyHistogram histogram;
    histogram.Record(nanoseconds(value));
    for (const double rank : {0.0, 0.5, 0.999, 1.0}) {
      EXPECT_EQ(histogram.Percentile(rank), nanoseconds(value));
    }
  }
}

// Of values of all sizes: within 1 % of what sorting them says, and never below.
TEST(LatencyHistogramTest, PercentilesAreWithinOnePercent) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latency(11, 3);
  std::vector<std::int64_t> values;
  LatencyHistogram halves[2];
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<std::int64_t>(latency(random)));
    halves[i % 2].Record(nanoseconds(values.back()));
  }
  LatencyHistogram histogram = halves[0];
  histogram.Add(halves[1]);
  std::sort(values.begin(), values.end());
  EXPECT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.max().count(), values.back());
  for (const double rank : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto exact = static_cast<double>(
        values[static_cast<std::size_t>(rank * static_cast<double>(values.size())) - 1]);
    const auto read = static_cast<double>(histogram.Percentile(rank).count());
    EXPECT_GE(read, exact);
    EXPECT_LE(read, 1.01 * exact + 1) << rank;
  }
}

TEST(LatencyHistogramTest, BelowZeroIsZero) {
  LatencyHistogram histogram;
  histogram.Record(nanoseconds(-5));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
  EXPECT_EQ(histogram.count(), 1u);
}

}  // namespace
}  // namespace dropout::cli
