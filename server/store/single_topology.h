// One Redis server.
#ifndef DROPOUTD_SERVER_STORE_SINGLE_TOPOLOGY_H_
#define DROPOUTD_SERVER_STORE_SINGLE_TOPOLOGY_H_

#include <memory>
#include <string_view>
#include <utility>

#include "server/base/error.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_topology.h"

namespace dropoutd {

// One address that serves everything (or what answers as one). Thread-safe.
class SingleTopology final : public RedisTopology {
 public:
  explicit SingleTopology(RedisAddress address) : address_(std::move(address)) {}

  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int) override {
    return HiredisConnection::Connect(address_);
  }
  int GroupOf(int) override { return 0; }
  void Suspect(int, std::string_view) override {}
  absl::Status Confirm(int, int) override { return absl::OkStatus(); }  // Nobody else is known.
  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view) override {
    return MakeError(Reason::kStoreUnavailable, "Redis: is a cluster");
  }
  bool is_cluster() const override { return false; }

 private:
  const RedisAddress address_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SINGLE_TOPOLOGY_H_
