// A Redis Cluster of three primaries and three replicas for tests.
#ifndef DROPOUTD_TESTS_STORE_CLUSTER_FLEET_H_
#define DROPOUTD_TESTS_STORE_CLUSTER_FLEET_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/store/redis_slots.h"
#include "server/store/redis_topology.h"
#include "server/store/redis_url.h"
#include "tests/store/redis_node.h"

namespace dropoutd {

class ClusterFleet {
 public:
  static constexpr std::size_t kPrimaries = 3;
  static constexpr std::size_t kSize = 6;  // The replica of node i < kPrimaries is kPrimaries + i.

  // Without replicas it has the primaries alone.
  explicit ClusterFleet(bool has_replicas = true) {
    const std::size_t size = has_replicas ? kSize : kPrimaries;
    for (std::size_t i = 0; i < size; ++i) nodes_.push_back(MakeNode());
    for (std::size_t i = 0; i < size; ++i) {
      ids_.push_back(node(i).Run({"CLUSTER", "MYID"}).text);
      node(i).Run({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
      if (i < kPrimaries) {
        const std::string first = std::to_string(FirstSlot(i));
        const std::string last = std::to_string(FirstSlot(i + 1) - 1);
        EXPECT_EQ(node(i).Run({"CLUSTER", "ADDSLOTSRANGE", first, last}).text, "OK");
      }
      node(0).Run({"CLUSTER", "MEET", "127.0.0.1", std::to_string(node(i).port()),
                   std::to_string(bus_ports_[i])});
    }
    for (std::size_t i = 0; i + kPrimaries < size; ++i) {
      EXPECT_TRUE(Comes([&] {
        return node(kPrimaries + i).Run({"CLUSTER", "REPLICATE", ids_[i]}).text == "OK";
      }));
    }
    AwaitWhole(size - kPrimaries);
  }

  RedisUrl Url(int wait_replicas = 0) const {
    return ParseRedisUrl("redis+cluster://127.0.0.1:" + std::to_string(nodes_[0]->port()) +
                         ",127.0.0.1:" + std::to_string(nodes_.back()->port()) +
                         "?wait_replicas=" + std::to_string(wait_replicas))
        .value();
  }

  RedisNode& node(std::size_t i) { return *nodes_[i]; }

  // All nodes say that every slot is served, and so many replicas follow.
  void AwaitWhole(std::size_t replicas) {
    EXPECT_TRUE(Comes([&] {
      std::size_t following = 0;
      const std::string known = "cluster_known_nodes:" + std::to_string(nodes_.size());
      for (const auto& each : nodes_) {
        const std::string state = each->Run({"CLUSTER", "INFO"}).text;
        if (state.find("cluster_state:ok") == std::string::npos ||
            state.find(known) == std::string::npos) {
          return false;
        }
        if (each->Info("master_link_status:up")) ++following;
      }
      return following >= replicas;
    }));
  }

  // All nodes give each slot the same primary. A primary that dies before that may leave slots that
  // none has.
  void AwaitAgreement() {
    EXPECT_TRUE(Comes([this] {
      const auto slots = SlotsOf(node(0));
      return std::all_of(nodes_.begin(), nodes_.end(),
                         [&](const auto& each) { return SlotsOf(*each) == slots; });
    }));
  }

  // The replica of the dead node has its slots.
  void AwaitTakeover(std::size_t dead) {
    EXPECT_TRUE(Comes([&] { return node(kPrimaries + dead).Info("role:master"); }));
  }

  // The node that has the slot, as node `asked` knows it.
  RedisNode& PrimaryOf(int slot, std::size_t asked = 0) {
    for (const RedisValue& range : node(asked).Run({"CLUSTER", "SLOTS"}).list) {
      if (slot < range.list[0].integer || slot > range.list[1].integer) continue;
      for (const auto& each : nodes_) {
        if (each->port() == range.list[2].list[1].integer) return *each;
      }
    }
    ADD_FAILURE() << "nobody has slot " << slot;
    return *nodes_[0];
  }

  // Moves the slot as redis-cli does, in steps, so that a test can stop in between.
  void BeginMove(int slot, RedisNode& from, RedisNode& to) {
    const std::string number = std::to_string(slot);
    EXPECT_EQ(to.Run({"CLUSTER", "SETSLOT", number, "IMPORTING", IdOf(from)}).text, "OK");
    EXPECT_EQ(from.Run({"CLUSTER", "SETSLOT", number, "MIGRATING", IdOf(to)}).text, "OK");
  }
  // Moves up to so many keys; whether there may be more.
  bool MoveKeys(int slot, RedisNode& from, RedisNode& to, int most) {
    const RedisValue keys =
        from.Run({"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), std::to_string(most)});
    for (const RedisValue& key : keys.list) {
      EXPECT_EQ(
          from.Run({"MIGRATE", "127.0.0.1", std::to_string(to.port()), key.text, "0", "5000"}).kind,
          RedisValue::Kind::kText);
    }
    return !keys.list.empty();
  }
  // All primaries are told: who hears of it by gossip alone may not believe it, where the giver has
  // taken another slot meanwhile.
  void EndMove(int slot, RedisNode& from, RedisNode& to) {
    std::vector<RedisNode*> told = {&to, &from};
    for (std::size_t i = 0; i < kPrimaries; ++i) told.push_back(nodes_[i].get());
    for (RedisNode* each : told) {
      EXPECT_EQ(each->Run({"CLUSTER", "SETSLOT", std::to_string(slot), "NODE", IdOf(to)}).text,
                "OK");
    }
  }
  void Move(int slot, RedisNode& from, RedisNode& to) {
    BeginMove(slot, from, to);
    while (MoveKeys(slot, from, to, 100)) {
    }
    EndMove(slot, from, to);
  }

 private:
  // Of each slot the port of its primary, 0 of one that none has.
  static std::vector<std::int64_t> SlotsOf(const RedisNode& asked) {
    std::vector<std::int64_t> ports(kRedisSlots, 0);
    for (const RedisValue& range : asked.Run({"CLUSTER", "SLOTS"}).list) {
      for (std::int64_t slot = range.list[0].integer; slot <= range.list[1].integer; ++slot) {
        ports[static_cast<std::size_t>(slot)] = range.list[2].list[1].integer;
      }
    }
    return ports;
  }

  static int FirstSlot(std::size_t primary) {
    return static_cast<int>(primary * kRedisSlots / kPrimaries);
  }

  std::unique_ptr<RedisNode> MakeNode() {
    bus_ports_.push_back(PickPort());
    return std::make_unique<RedisNode>(std::vector<std::string>{
        "save \"\"", "repl-diskless-sync-delay 0", "cluster-enabled yes",
        "cluster-node-timeout 1000", "cluster-port " + std::to_string(bus_ports_.back())});
  }

  const std::string& IdOf(const RedisNode& wanted) const {
    std::size_t i = 0;
    while (nodes_[i].get() != &wanted) ++i;
    return ids_[i];
  }

  std::vector<int> bus_ports_;
  std::vector<std::unique_ptr<RedisNode>> nodes_;
  std::vector<std::string> ids_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_CLUSTER_FLEET_H_
