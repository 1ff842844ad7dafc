// Redis Cluster: the conformance suite against real servers.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>

#include "server/store/redis_cluster_topology.h"
#include "server/store/redis_store.h"
#include "tests/store/cluster_fleet.h"
#include "tests/store/store_conformance.h"

namespace dropoutd {
namespace {

ClusterFleet* fleet = nullptr;  // Null where there is no redis-server.

class FleetEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (HasRedisServer()) fleet = (fleet_ = std::make_unique<ClusterFleet>(false)).get();
  }
  void TearDown() override { fleet_.reset(); }

 private:
  std::unique_ptr<ClusterFleet> fleet_;
};

const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(std::make_unique<FleetEnvironment>().release());

// An empty cluster, of servers that have held other sessions before.
class ClusterUnderTest final : public StoreUnderTest {
 public:
  ClusterUnderTest() {
    for (std::size_t i = 0; i < ClusterFleet::kPrimaries; ++i) fleet->node(i).Run({"FLUSHALL"});
    store_ = RedisStore::Open(std::make_unique<RedisClusterTopology>(fleet->Url())).value();
  }

  Store& store() override { return *store_; }
  bool Advance(std::chrono::milliseconds by) override {
    if (by > std::chrono::seconds(3)) return false;
    std::this_thread::sleep_for(by + std::chrono::milliseconds(2));
    return true;
  }

 private:
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(RedisCluster, StoreConformanceTest,
                         ::testing::Values(StoreKind{"RedisCluster",
                                                     []() -> std::unique_ptr<StoreUnderTest> {
                                                       if (fleet == nullptr) return nullptr;
                                                       return std::make_unique<ClusterUnderTest>();
                                                     }}),
                         [](const auto& kind) { return kind.param.name; });

// Who makes a session knows what others made up to a second ago.
TEST(RedisClusterLimitTest, HoldsAfterASecond) {
  if (fleet == nullptr) GTEST_SKIP() << "no redis-server";
  ClusterUnderTest cluster;
  StoreChange change;
  change.expected = Token();
  change.makes = SessionLimit{"t/", 2, 10};
  change.parts = {{"p", "value"}};
  change.ttl = std::chrono::hours(1);
  const auto make = [&](const char* key) {
    change.token = Token::Random();
    change.incarnation = Token::Random();
    return cluster.store().Commit(key, change).value().outcome;
  };
  EXPECT_EQ(make("t/a"), StoreOutcome::kDone);
  const Token first = change.incarnation;
  EXPECT_EQ(make("t/b"), StoreOutcome::kDone);
  cluster.Advance(std::chrono::milliseconds(1100));
  EXPECT_EQ(make("t/c"), StoreOutcome::kTenantFull);
  EXPECT_EQ(cluster.store().Remove("t/a", first, Token::Random()).value().outcome,
            StoreOutcome::kDone);
  cluster.Advance(std::chrono::milliseconds(1100));
  EXPECT_EQ(make("t/c"), StoreOutcome::kDone);
}

}  // namespace
}  // namespace dropoutd
