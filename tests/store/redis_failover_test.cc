#include <gtest/gtest.h>

#include <csignal>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "server/store/redis_cluster_topology.h"
#include "server/store/redis_sentinel_topology.h"
#include "server/store/redis_store.h"
#include "tests/store/cluster_fleet.h"
#include "tests/store/commit_load.h"
#include "tests/store/sentinel_fleet.h"

namespace dropoutd {
namespace {

constexpr std::size_t kSome = 200;  // Changes.

RedisOptions OneReplica() {
  RedisOptions options;
  options.wait_replicas = 1;
  return options;
}

TEST(RedisFailoverTest, SentinelsReplaceThePrimaryTwice) {
  if (!HasRedisServer()) GTEST_SKIP() << "no redis-server";
  SentinelFleet fleet;
  const auto store =
      RedisStore::Open(std::make_unique<RedisSentinelTopology>(fleet.Url()), OneReplica());
  ASSERT_TRUE(store.ok()) << store.status();
  CommitLoad load(**store);
  load.AwaitChanges(kSome);
  fleet.FailOver();
  load.AwaitChanges(kSome);
  fleet.AwaitWhole();
  RedisNode& old = fleet.Primary();
  old.Kill();
  fleet.AwaitOther(old);
  load.AwaitChanges(kSome);
  load.Finish();
}

// As docs/operations.md has them.
TEST(RedisFailoverTest, UsersWithNoMoreRightsThanTheyNeed) {
  if (!HasRedisServer()) GTEST_SKIP() << "no redis-server";
  SentinelFleet fleet;
  for (std::size_t i = 0; i < SentinelFleet::kSize; ++i) {
    EXPECT_EQ(fleet.node(i)
                  .Run({"ACL", "SETUSER", "d", "on", ">dp", "~dropout:*", "+@scripting", "+@read",
                        "+@write", "+info", "+role", "+time", "+wait"})
                  .text,
              "OK");
    EXPECT_EQ(
        fleet.sentinel(i)
            .Run({"ACL", "SETUSER", "s", "on", ">sp", "&+switch-master", "+subscribe", "+ping",
                  "+sentinel|get-master-addr-by-name", "+sentinel|master", "+sentinel|replicas"})
            .text,
        "OK");
    EXPECT_EQ(fleet.sentinel(i).Run({"ACL", "SETUSER", "default", "off"}).text, "OK");
  }
  RedisUrl url = fleet.Url();
  url.login = {"d", "dp"};
  url.sentinel_login = {"s", "sp"};
  const auto store = RedisStore::Open(std::make_unique<RedisSentinelTopology>(url), OneReplica());
  ASSERT_TRUE(store.ok()) << store.status();
  CommitLoad load(**store);
  load.AwaitChanges(kSome);
  EXPECT_TRUE((*store)->RemoveExpired().ok());
  EXPECT_TRUE((*store)->Count().ok());
  load.Finish();
}

// It is not dead, only late: it goes on with what it had been sent, before it hears that it is the
// primary no more.
TEST(RedisFailoverTest, APrimarySleepsThroughAFailOver) {
  if (!HasRedisServer()) GTEST_SKIP() << "no redis-server";
  SentinelFleet fleet;
  const auto store =
      RedisStore::Open(std::make_unique<RedisSentinelTopology>(fleet.Url()), OneReplica());
  ASSERT_TRUE(store.ok()) << store.status();
  CommitLoad load(**store);
  load.AwaitChanges(kSome);
  RedisNode& old = fleet.Primary();
  old.Signal(SIGSTOP);
  fleet.AwaitOther(old);
  load.AwaitChanges(kSome);
  old.Signal(SIGCONT);
  fleet.AwaitWhole();
  load.AwaitChanges(kSome);
  load.Finish();
}

TEST(RedisFailoverTest, HalfOfTheSlotsMoveAndAPrimaryDies) {
  if (!HasRedisServer()) GTEST_SKIP() << "no redis-server";
  ClusterFleet fleet;
  const auto store =
      RedisStore::Open(std::make_unique<RedisClusterTopology>(fleet.Url()), OneReplica());
  ASSERT_TRUE(store.ok()) << store.status();
  CommitLoad load(**store);
  load.AwaitChanges(kSome);
  // Half of the slots that a primary had go to the next one. One giver after another, as redis-cli
  // does: where all give and take at once the cluster may never agree.
  for (std::size_t i = 0; i < ClusterFleet::kPrimaries; ++i) {
    RedisNode& from = fleet.node(i);
    RedisNode& to = fleet.node((i + 1) % ClusterFleet::kPrimaries);
    for (int bucket = 0; bucket < kRedisBuckets; ++bucket) {
      const int slot = RedisSlotOf(std::to_string(bucket));
      const bool is_of_first_half = slot / (kRedisSlots / 6) == static_cast<int>(2 * i);
      if (is_of_first_half && &fleet.PrimaryOf(slot, i) == &from) fleet.Move(slot, from, to);
    }
    fleet.AwaitAgreement();
  }
  load.AwaitChanges(kSome);
  fleet.node(0).Kill();
  fleet.AwaitTakeover(0);
  fleet.node(0).Start();
  fleet.AwaitWhole(ClusterFleet::kPrimaries);
  load.AwaitChanges(kSome);
  load.Finish();
}

}  // namespace
}  // namespace dropoutd
