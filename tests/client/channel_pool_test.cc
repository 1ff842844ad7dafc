#include "client/channel_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace dropout {
namespace {

using Leases = std::vector<std::shared_ptr<Channel>>;

class ChannelPoolTest : public testing::Test {
 protected:
  Leases Take(int count) {
    Leases leases;
    for (int i = 0; i < count; ++i) leases.push_back(pool_.Lease());
    return leases;
  }

  std::vector<bool> made_;  // Whether each was an extra one.
  ChannelPool pool_{[this](bool extra) {
    made_.push_back(extra);
    return MakeChannel("127.0.0.1:1", ClientOptions(), extra);
  }};
};

TEST_F(ChannelPoolTest, OpensAsManyAsTheCallsNeed) {
  const Leases leases = Take(150);
  EXPECT_THAT(made_, testing::ElementsAre(false, true, true));
  EXPECT_EQ(leases[0], leases[63]);
  EXPECT_NE(leases[63], leases[64]);
}

TEST_F(ChannelPoolTest, TakesTheFirstWithRoom) {
  Leases leases = Take(65);
  leases.erase(leases.begin());
  EXPECT_EQ(pool_.Lease(), leases.front());
  EXPECT_EQ(made_.size(), 2U);
}

TEST_F(ChannelPoolTest, LearnsWhatAChannelTakes) {
  Leases leases = Take(11);
  EXPECT_TRUE(pool_.IsFull(*leases[0]));
  leases.pop_back();  // The one that waited.
  EXPECT_NE(pool_.Lease(), leases[0]);
  leases.pop_back();
  EXPECT_EQ(pool_.Lease(), leases[0]);
}

TEST_F(ChannelPoolTest, OneCallAloneIsNotBehindOthers) {
  const Leases leases = Take(1);
  EXPECT_FALSE(pool_.IsFull(*leases[0]));
}

TEST_F(ChannelPoolTest, WhatIsGivenUpEndsWithItsUser) {
  Leases leases = Take(2);
  const std::weak_ptr<grpc::Channel> channel = leases[0]->channel;
  pool_.GiveUp(*leases[0]);
  EXPECT_FALSE(pool_.Has(*leases[0]));
  EXPECT_NE(pool_.Lease(), leases[0]);
  EXPECT_FALSE(channel.expired());
  leases.clear();
  EXPECT_TRUE(channel.expired());
}

}  // namespace
}  // namespace dropout
