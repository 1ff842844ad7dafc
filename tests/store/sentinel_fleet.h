// One primary, two replicas and three Sentinels for tests.
#ifndef DROPOUTD_TESTS_STORE_SENTINEL_FLEET_H_
#define DROPOUTD_TESTS_STORE_SENTINEL_FLEET_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "server/store/redis_url.h"
#include "tests/store/redis_node.h"

namespace dropoutd {

class SentinelFleet {
 public:
  static constexpr std::size_t kSize = 3;

  SentinelFleet() {
    for (std::size_t i = 0; i < kSize; ++i) {
      std::vector<std::string> config = {"save \"\"", "repl-diskless-sync-delay 0"};
      if (i > 0) config.push_back("replicaof 127.0.0.1 " + std::to_string(nodes_[0]->port()));
      nodes_.push_back(std::make_unique<RedisNode>(config, std::vector<std::string>(), "data"));
    }
    EXPECT_TRUE(Comes([this] { return nodes_[0]->Info("connected_slaves:2"); }));
    for (std::size_t i = 0; i < kSize; ++i) sentinels_.push_back(MakeSentinel());
    // All know of each other and of the replicas.
    for (std::size_t i = 0; i < kSize; ++i) {
      EXPECT_TRUE(Comes([&] {
        return sentinels_[i]->Info("status=ok") && sentinels_[i]->Info("slaves=2,sentinels=3");
      }));
    }
  }

  RedisUrl Url(int wait_replicas = 0) const {
    std::string hosts;
    for (const auto& each : sentinels_) {
      hosts += (hosts.empty() ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(each->port());
    }
    return ParseRedisUrl("redis+sentinel://:data@" + hosts +
                         "/cache?wait_replicas=" + std::to_string(wait_replicas))
        .value();
  }

  RedisNode& sentinel(std::size_t i) { return *sentinels_[i]; }
  RedisNode& node(std::size_t i) { return *nodes_[i]; }

  // The node that the Sentinel names.
  RedisNode& Primary(std::size_t sentinel = 0) {
    const RedisValue answer =
        sentinels_[sentinel]->Run({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "cache"});
    for (const auto& each : nodes_) {
      if (answer.list.size() == 2 && answer.list[1].text == std::to_string(each->port())) {
        return *each;
      }
    }
    ADD_FAILURE() << "no primary";
    return *nodes_[0];
  }

  // All Sentinels agree that another one is the primary.
  void AwaitOther(const RedisNode& old) {
    for (std::size_t i = 0; i < kSize; ++i) {
      EXPECT_TRUE(Comes([&] { return &Primary(i) != &old; }));
    }
  }

  // All nodes are up, and two follow the primary.
  void AwaitWhole() {
    EXPECT_TRUE(Comes([this] {
      const RedisNode& primary = Primary();
      std::size_t whole = 0;
      for (std::size_t i = 0; i < kSize; ++i) {
        if (nodes_[i].get() == &primary ? nodes_[i]->Info("connected_slaves:2")
                                        : nodes_[i]->Info("master_link_status:up")) {
          ++whole;
        }
      }
      return whole == kSize;
    }));
  }

  // Asks a Sentinel for a fail-over, as often as it takes: it refuses while one is under way.
  void FailOver() {
    const RedisNode& old = Primary();
    EXPECT_TRUE(Comes([this] {
      return sentinels_[0]->Run({"SENTINEL", "FAILOVER", "cache"}).text == "OK";
    }));
    AwaitOther(old);
  }

 private:
  std::unique_ptr<RedisNode> MakeSentinel() {
    const std::string port = std::to_string(nodes_[0]->port());
    return std::make_unique<RedisNode>(
        std::vector<std::string>{
            "sentinel monitor cache 127.0.0.1 " + port + " 2", "sentinel auth-pass cache data",
            "sentinel down-after-milliseconds cache 500", "sentinel failover-timeout cache 3000"},
        std::vector<std::string>{"--sentinel"});
  }

  std::vector<std::unique_ptr<RedisNode>> nodes_;
  std::vector<std::unique_ptr<RedisNode>> sentinels_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_SENTINEL_FLEET_H_
