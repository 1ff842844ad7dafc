// The measured store does what every store must do.
#include "server/main/metrics/store_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "tests/store/redis_under_test.h"
#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

StoreKind Measured(const std::string& name) {
  const auto registry = std::make_shared<prometheus::Registry>();
  const WrapStore measure = [registry](auto store) {
    return MeasureStore(std::move(store), *registry);
  };
  if (name != "Redis") return MakeStoreKind(name, measure);
  return {name, [measure] { return std::make_unique<RedisUnderTest>(measure); }};
}

INSTANTIATE_TEST_SUITE_P(Measured, StoreConformanceTest,
                         testing::Values(Measured("Memory"), Measured("Sqlite"), Measured("Redis")),
                         [](const auto& kind) { return kind.param.name; });

// How often each operation was counted: as made, and as failed.
struct Counted {
  std::uint64_t made = 0;
  double failed = 0;
};

std::map<std::string, Counted> CountsOf(prometheus::Registry& registry) {
  std::map<std::string, Counted> counts;
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      Counted& counted = counts[metric.label.at(0).value];
      if (family.type == prometheus::MetricType::Histogram) {
        counted.made = metric.histogram.sample_count;
      } else {
        counted.failed = metric.counter.value;
      }
    }
  }
  return counts;
}

TEST(StoreMetricsTest, RefusalsAreAnswersAndNoFailures) {
  prometheus::Registry registry;
  const auto store = MeasureStore(std::make_unique<MemoryStore>(), registry);
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = Token::Random();
  EXPECT_EQ(store->Commit("s", change)->outcome, StoreOutcome::kAbsent);
  change.makes = SessionLimit{"", 1, 1};
  change.ttl = std::chrono::hours(1);
  EXPECT_EQ(store->Commit("s", change)->outcome, StoreOutcome::kDone);
  change.token = Token::Random();
  store->StartCommit(
      "s", change, [](const auto& result) { EXPECT_EQ(result->outcome, StoreOutcome::kConflict); });
  EXPECT_FALSE(store->Query("t", {}).ok());
  ASSERT_TRUE(store->Tokens({"s", "t"}).ok());
  const auto snapshot = store->Snapshot("s");
  ASSERT_TRUE(snapshot.ok());
  ASSERT_TRUE((*snapshot)->Next(1).ok());
  auto counts = CountsOf(registry);
  EXPECT_EQ(counts["commit"].made, 3u);
  EXPECT_EQ(counts["query"].made, 2u);
  EXPECT_EQ(counts["other"].made, 2u);
  for (const auto& [operation, counted] : counts) EXPECT_EQ(counted.failed, 0) << operation;
}

TEST(StoreMetricsTest, FailuresOfTheStoreAreCounted) {
  prometheus::Registry registry;
  TemporaryFolder folder;
  SqliteOptions options;
  options.most_pages = 100;
  const auto store =
      MeasureStore(SqliteStore::Open(folder.File("sessions.db"), options).value(), registry);
  StoreChange change;
  change.token = Token::Random();
  change.incarnation = Token::Random();
  change.makes = SessionLimit{"", 1, 1};
  change.parts = {{"large", std::string(1 << 20, 'x')}};
  change.ttl = std::chrono::hours(1);
  EXPECT_FALSE(store->Commit("s", change).ok());
  EXPECT_EQ(CountsOf(registry)["commit"].failed, 1);
}

}  // namespace
}  // namespace dropoutd
