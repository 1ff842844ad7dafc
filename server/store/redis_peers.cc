#include "server/store/redis_peers.h"

#include <algorithm>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPeerTimeout{500};
constexpr milliseconds kLeftAlone{1000};

// The value of a line "NAME:VALUE" of INFO.
std::string InfoValue(std::string_view info, std::string_view name) {
  for (std::size_t begin = 0; begin < info.size();) {
    const std::size_t end = std::min(info.find("\r\n", begin), info.size());
    const std::string_view line = info.substr(begin, end - begin);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
      return std::string(line.substr(name.size() + 1));
    }
    begin = end + 2;
  }
  return {};
}

}  // namespace

absl::StatusOr<ReplicationState> AskReplicationState(RedisConnection& connection) {
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue info, connection.Run({"INFO", "replication"}));
  ReplicationState state;
  state.is_primary = InfoValue(info.text, "role") == "master";
  state.history = InfoValue(info.text, "master_replid");
  state.parent = InfoValue(info.text, "master_replid2");
  if (info.is_error() || state.history.empty()) {
    return MakeError(Reason::kStoreUnavailable, "Redis: does not tell its role");
  }
  return state;
}

void RedisPeers::Set(std::vector<RedisHost> hosts) {
  std::vector<Connections> old;  // End outside of the lock.
  const std::lock_guard lock(mutex_);
  if (hosts == hosts_) return;
  hosts_ = std::move(hosts);
  left_alone_.assign(hosts_.size(), {});
  ++generation_;
  old.swap(idle_);
}

bool RedisPeers::HaveSuccessorOf(std::string_view history) {
  Connections all = Take();
  for (std::size_t i = 0; i < all.hosts.size(); ++i) {
    std::unique_ptr<HiredisConnection>& connection = all.connections[i];
    if (connection != nullptr && connection->HasBeenClosed()) connection.reset();
    if (connection == nullptr) connection = Connect(all.hosts[i]);
    if (connection != nullptr) connection->Append(RedisArguments{"ROLE"});
  }
  bool have = false;
  for (std::size_t i = 0; i < all.hosts.size(); ++i) {
    std::unique_ptr<HiredisConnection>& connection = all.connections[i];
    if (connection == nullptr) continue;
    const auto asked = steady_clock::now();
    auto role = connection->Receive();
    if (!role.ok() && steady_clock::now() - asked < kPeerTimeout / 2) {
      // Sentinels have whom they promote close all connections, so that it matters most now.
      connection = Connect(all.hosts[i]);
      if (connection != nullptr) role = connection->Run({"ROLE"});
    }
    if (role.ok() && !role->list.empty() && role->list[0].text == "master") {
      // There are others than successors: one that was the primary before, and was not told yet.
      const auto state = AskReplicationState(*connection);
      have = have || !state.ok() || (state->is_primary && state->parent == history);
    }
    if (connection == nullptr || !connection->is_broken()) continue;
    LeaveAlone(all.hosts[i]);
    connection.reset();
  }
  GiveBack(std::move(all));
  return have;
}

std::unique_ptr<HiredisConnection> RedisPeers::Connect(const RedisHost& host) {
  if (IsLeftAlone(host)) return nullptr;
  RedisAddress address = RedisAddressOf(host, login_, 0);
  address.connect_timeout = kPeerTimeout;
  address.command_timeout = kPeerTimeout;
  auto connection = HiredisConnection::Connect(address);
  if (connection.ok()) return *std::move(connection);
  LeaveAlone(host);
  return nullptr;
}

RedisPeers::Connections RedisPeers::Take() {
  const std::lock_guard lock(mutex_);
  if (!idle_.empty()) {
    Connections taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }
  Connections made{.generation = generation_, .hosts = hosts_, .connections = {}};
  made.connections.resize(hosts_.size());
  return made;
}

void RedisPeers::GiveBack(Connections connections) {
  const std::lock_guard lock(mutex_);
  if (connections.generation == generation_) idle_.push_back(std::move(connections));
}

bool RedisPeers::IsLeftAlone(const RedisHost& host) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(hosts_.begin(), hosts_.end(), host);
  return found != hosts_.end() &&
         steady_clock::now() < left_alone_[static_cast<std::size_t>(found - hosts_.begin())];
}

void RedisPeers::LeaveAlone(const RedisHost& host) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(hosts_.begin(), hosts_.end(), host);
  if (found == hosts_.end()) return;
  left_alone_[static_cast<std::size_t>(found - hosts_.begin())] = steady_clock::now() + kLeftAlone;
}

}  // namespace dropoutd
