#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/base/error.h"
#include "server/store/redis_cluster_topology.h"
#include "server/store/redis_slots.h"
#include "tests/store/cluster_fleet.h"

namespace dropoutd {
namespace {

std::string KeyOfBucket(int bucket) { return "{" + std::to_string(bucket) + "}"; }
int SlotOfBucket(int bucket) { return RedisSlotOf(std::to_string(bucket)); }

class RedisClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasRedisServer()) GTEST_SKIP() << "no redis-server";
    fleet_ = std::make_unique<ClusterFleet>();
    topology_ = std::make_unique<RedisClusterTopology>(fleet_->Url());
  }

  // What a new connection for the bucket answers to a write; told to the topology if an error.
  std::string Written(int bucket) {
    auto connection = topology_->Connect(bucket);
    if (!connection.ok()) return std::string(connection.status().message());
    auto answer = (*connection)->Run({"SET", KeyOfBucket(bucket), "v"});
    if (answer.ok() && answer->ErrorWord() == "ASK") {
      connection = topology_->ConnectAsked(answer->text);
      if (!connection.ok()) return std::string(connection.status().message());
      EXPECT_EQ((*connection)->Run({"ASKING"})->text, "OK");
      answer = (*connection)->Run({"SET", KeyOfBucket(bucket), "v"});
    }
    if (!answer.ok()) return std::string(answer.status().message());
    if (answer->is_error()) topology_->Suspect(bucket, answer->text);
    return answer->text;
  }

  std::unique_ptr<ClusterFleet> fleet_;
  std::unique_ptr<RedisClusterTopology> topology_;
};

TEST_F(RedisClusterTest, EveryBucketIsServedByThePrimaryOfItsSlot) {
  EXPECT_EQ(topology_->GroupOf(0), -1);
  std::set<int> groups;
  for (int bucket = 0; bucket < kRedisBuckets; bucket += 31) {
    EXPECT_EQ(Written(bucket), "OK") << bucket;
    groups.insert(topology_->GroupOf(bucket));
  }
  EXPECT_EQ(groups.size(), ClusterFleet::kPrimaries);
}

TEST_F(RedisClusterTest, MovedIsFollowedAtOnce) {
  EXPECT_EQ(Written(0), "OK");
  const int group = topology_->GroupOf(0);
  RedisNode& from = fleet_->PrimaryOf(SlotOfBucket(0));
  RedisNode& to = &from == &fleet_->node(0) ? fleet_->node(1) : fleet_->node(0);
  fleet_->Move(SlotOfBucket(0), from, to);
  EXPECT_EQ(topology_->GroupOf(0), group);  // Nobody has told.
  EXPECT_TRUE(Written(0).starts_with("MOVED "));
  EXPECT_NE(topology_->GroupOf(0), group);
  EXPECT_EQ(Written(0), "OK");
}

TEST_F(RedisClusterTest, AskIsFollowedOnceAndChangesNothing) {
  RedisNode& from = fleet_->PrimaryOf(SlotOfBucket(0));
  RedisNode& to = &from == &fleet_->node(0) ? fleet_->node(1) : fleet_->node(0);
  fleet_->BeginMove(SlotOfBucket(0), from, to);
  EXPECT_EQ(Written(0), "OK");  // The old one has no such key, and sends on.
  const int group = topology_->GroupOf(0);
  EXPECT_EQ(Written(0), "OK");
  EXPECT_EQ(topology_->GroupOf(0), group);
  fleet_->EndMove(SlotOfBucket(0), from, to);
  EXPECT_EQ(to.Run({"GET", KeyOfBucket(0)}).text, "v");
}

TEST_F(RedisClusterTest, AReplicaTakesOverAndTheOldPrimaryComesBack) {
  for (int bucket = 0; bucket < 8; ++bucket) EXPECT_EQ(Written(bucket), "OK");
  RedisNode& old = fleet_->PrimaryOf(SlotOfBucket(0), ClusterFleet::kSize - 1);
  const int group = topology_->GroupOf(0);
  old.Kill();
  // Its connection is refused until another one has its slots.
  EXPECT_TRUE(Comes([this] { return Written(0) == "OK"; }));
  EXPECT_NE(topology_->GroupOf(0), group);
  old.Start();
  fleet_->AwaitWhole(ClusterFleet::kPrimaries);
  for (int bucket = 0; bucket < 8; ++bucket) EXPECT_EQ(Written(bucket), "OK");
}

TEST_F(RedisClusterTest, WhatIsNoClusterIsRefused) {
  const RedisNode alone({"save \"\""});
  RedisUrl url = fleet_->Url();
  url.hosts = {alone.host()};
  RedisClusterTopology topology(url);
  EXPECT_EQ(ReasonOf(topology.Connect(0).status()), Reason::kStoreUnavailable);
  EXPECT_EQ(topology.GroupOf(0), -1);
}

TEST(RedisClusterMapTest, ARedirectionIsParsedWhole) {
  const auto moved = ParseRedirection("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved.has_value());
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->host, (RedisHost{"127.0.0.1", 6381}));
  EXPECT_EQ(ParseRedirection("ASK 0 ::1:7")->host, (RedisHost{"::1", 7}));
  EXPECT_EQ(ParseRedirection("MOVED 1 :7")->host, (RedisHost{"", 7}));
  for (const char* wrong : {"", "MOVED", "MOVED 1", "MOVED x h:1", "MOVED 16384 h:1", "MOVED 1 h",
                            "MOVED 1 h:0", "MOVED 1 h:65536", "MOVED 1 ?:1", "MOVED:1 "}) {
    EXPECT_FALSE(ParseRedirection(wrong).has_value()) << wrong;
  }
}

RedisValue TextValue(const std::string& text) {
  RedisValue value;
  value.kind = RedisValue::Kind::kText;
  value.text = text;
  return value;
}

RedisValue IntegerValue(std::int64_t integer) {
  RedisValue value;
  value.kind = RedisValue::Kind::kInteger;
  value.integer = integer;
  return value;
}

RedisValue ListValue(std::vector<RedisValue> list) {
  RedisValue value;
  value.kind = RedisValue::Kind::kList;
  value.list = std::move(list);
  return value;
}

TEST(RedisClusterMapTest, ANodeMayNotKnowItsOwnAddress) {
  const RedisHost asked{"here", 1};
  const auto ranges = ParseClusterSlots(
      ListValue({ListValue({IntegerValue(0), IntegerValue(9),
                            ListValue({TextValue(""), IntegerValue(7)})}),
                 ListValue({IntegerValue(10), IntegerValue(19),
                            ListValue({RedisValue(), IntegerValue(8)})}),
                 ListValue({IntegerValue(20), IntegerValue(29),
                            ListValue({TextValue("?"), IntegerValue(9)})}),
                 ListValue({IntegerValue(30), IntegerValue(16383),
                            ListValue({TextValue("::1"), IntegerValue(10), TextValue("id")}),
                            ListValue({TextValue("replica"), IntegerValue(11)})})}),
      asked);
  ASSERT_TRUE(ranges.has_value());
  ASSERT_EQ(ranges->size(), 3U);
  EXPECT_EQ((*ranges)[0].primary, (RedisHost{"here", 7}));
  EXPECT_EQ((*ranges)[1].primary, (RedisHost{"here", 8}));
  EXPECT_EQ((*ranges)[2].primary, (RedisHost{"::1", 10}));
  EXPECT_EQ((*ranges)[2].last, 16383);
  EXPECT_FALSE(ParseClusterSlots(TextValue("x"), asked).has_value());
  EXPECT_FALSE(ParseClusterSlots(ListValue({ListValue({IntegerValue(0)})}), asked).has_value());
  EXPECT_FALSE(
      ParseClusterSlots(
          ListValue({ListValue({IntegerValue(0), IntegerValue(16384), ListValue({})})}), asked)
          .has_value());
}

}  // namespace
}  // namespace dropoutd
