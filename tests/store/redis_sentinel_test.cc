#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>

#include "server/base/error.h"
#include "server/store/redis_sentinel_topology.h"
#include "tests/store/sentinel_fleet.h"

namespace dropoutd {
namespace {

class RedisSentinelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasRedisServer()) GTEST_SKIP() << "no redis-server";
    fleet_ = std::make_unique<SentinelFleet>();
    topology_ = std::make_unique<RedisSentinelTopology>(fleet_->Url());
  }

  // What one new connection says after a write; else the error.
  std::string Written() {
    auto connection = topology_->Connect(0);
    if (!connection.ok()) return std::string(connection.status().message());
    const auto answer = (*connection)->Run({"SET", "k", "v"});
    return answer.ok() ? answer->text : std::string(answer.status().message());
  }

  bool IsWritten() {
    const bool is = Written() == "OK";
    if (!is) topology_->Suspect(0, "");
    return is;
  }

  std::unique_ptr<SentinelFleet> fleet_;
  std::unique_ptr<RedisSentinelTopology> topology_;
};

TEST_F(RedisSentinelTest, NewsChangeTheGroupWhereNothingIsAsked) {
  EXPECT_EQ(Written(), "OK");
  const int group = topology_->GroupOf(0);
  fleet_->FailOver();
  EXPECT_TRUE(Comes([&] { return topology_->GroupOf(0) != group; }));
  EXPECT_EQ(Written(), "OK");
  EXPECT_EQ(fleet_->Primary().Run({"GET", "k"}).text, "v");
}

TEST_F(RedisSentinelTest, FollowsTheDeathOfThePrimary) {
  EXPECT_EQ(Written(), "OK");
  fleet_->Primary().Kill();
  EXPECT_TRUE(Comes([this] { return IsWritten(); }));
}

// The old primary goes on as if it still were one, and the Sentinel that is asked first, which
// hears of nothing (it has no password), says so too.
TEST_F(RedisSentinelTest, TrustsNoneThatWasThePrimary) {
  RedisNode& old = fleet_->Primary();
  const RedisNode deaf({"sentinel monitor cache 127.0.0.1 " + std::to_string(old.port()) + " 2"},
                       {"--sentinel"});
  RedisUrl url = fleet_->Url();
  url.hosts.insert(url.hosts.begin(), deaf.host());
  fleet_->FailOver();
  old.Run({"REPLICAOF", "NO", "ONE"});
  RedisSentinelTopology topology(url);
  const auto connection = topology.Connect(0);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ((*connection)->Run({"SET", "k", "v"})->text, "OK");
  EXPECT_EQ(fleet_->Primary().Run({"GET", "k"}).text, "v");
}

// A Sentinel alone, which cannot have another one elected, watches a replica.
TEST_F(RedisSentinelTest, AReplicaThatASentinelNamesIsRefused) {
  RedisNode& replica = fleet_->node(&fleet_->Primary() == &fleet_->node(0) ? 1 : 0);
  RedisNode sentinel({"sentinel monitor cache 127.0.0.1 " + std::to_string(replica.port()) + " 2",
                      "sentinel auth-pass cache data"},
                     {"--sentinel"});
  RedisUrl url = fleet_->Url();
  url.hosts = {sentinel.host()};
  RedisSentinelTopology topology(url);
  const auto connection = topology.Connect(0);
  EXPECT_EQ(ReasonOf(connection.status()), Reason::kStoreUnavailable);
  EXPECT_NE(connection.status().message().find("no primary"), std::string::npos);
}

TEST_F(RedisSentinelTest, GoesOnWithoutSentinels) {
  EXPECT_EQ(Written(), "OK");
  for (std::size_t i = 0; i < SentinelFleet::kSize; ++i) fleet_->sentinel(i).Kill();
  topology_->Suspect(0, "");
  EXPECT_EQ(Written(), "OK");
  RedisSentinelTopology other(fleet_->Url());
  EXPECT_EQ(ReasonOf(other.Connect(0).status()), Reason::kStoreUnavailable);
}

TEST_F(RedisSentinelTest, OneSentinelIsEnoughAndAWrongNameIsNot) {
  EXPECT_EQ(Written(), "OK");
  fleet_->sentinel(0).Kill();
  fleet_->sentinel(1).Kill();
  RedisSentinelTopology other(fleet_->Url());
  EXPECT_TRUE(other.Connect(0).ok());
  RedisUrl wrong = fleet_->Url();
  wrong.primary = "other";
  RedisSentinelTopology lost(wrong);
  EXPECT_EQ(ReasonOf(lost.Connect(0).status()), Reason::kStoreUnavailable);
}

}  // namespace
}  // namespace dropoutd
