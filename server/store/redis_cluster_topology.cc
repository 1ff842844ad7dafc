#include "server/store/redis_cluster_topology.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/redis_slots.h"

namespace dropoutd {
namespace {

// Several nodes may have to be waited for, one after another.
constexpr std::chrono::milliseconds kAskTimeout{500};

absl::Status ClusterError(std::string_view what) {
  return MakeError(Reason::kStoreUnavailable,
                   absl::StrCat("Redis Cluster: ", absl::string_view(what.data(), what.size())));
}

}  // namespace

RedisClusterTopology::RedisClusterTopology(const RedisUrl& url) : url_(url), to_ask_(url.hosts) {
  for (int bucket = 0; bucket < kRedisBuckets; ++bucket) {
    slots_[static_cast<std::size_t>(bucket)] = RedisSlotOf(std::to_string(bucket));
  }
  primaries_.fill(-1);
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisClusterTopology::Connect(int bucket) {
  // What is known goes on where nobody answers.
  const absl::Status refreshed = Refresh();
  RedisHost primary;
  {
    const std::lock_guard lock(mutex_);
    const int number = primaries_[static_cast<std::size_t>(bucket)];
    if (number < 0) return refreshed.ok() ? ClusterError("no node serves a slot") : refreshed;
    primary = nodes_[static_cast<std::size_t>(number)];
  }
  auto connection = HiredisConnection::Connect(RedisAddressOf(primary, url_.login, 0));
  if (!connection.ok()) Suspect(bucket, "");
  return connection;
}

int RedisClusterTopology::GroupOf(int bucket) {
  const std::lock_guard lock(mutex_);
  return primaries_[static_cast<std::size_t>(bucket)];
}

void RedisClusterTopology::Suspect(int bucket, std::string_view error) {
  const std::lock_guard lock(mutex_);
  ++suspicions_;
  auto redirection = error.starts_with("MOVED ") ? ParseRedirection(error) : std::nullopt;
  if (!redirection.has_value()) return;
  int& primary = primaries_[static_cast<std::size_t>(bucket)];
  RedisHost& host = redirection->host;
  if (host.name.empty() && primary >= 0)
    host = {nodes_[static_cast<std::size_t>(primary)].name, host.port};
  if (host.name.empty()) return;
  primary = NumberOf(host);
  // Who others say serves the slot knows so, and they may not have heard of the rest.
  std::erase(to_ask_, host);
  to_ask_.insert(to_ask_.begin(), host);
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisClusterTopology::ConnectAsked(
    std::string_view ask) {
  auto redirection = ParseRedirection(ask);
  if (!redirection.has_value() || redirection->host.name.empty()) {
    return ClusterError("redirects to a node whose address it does not know");
  }
  return HiredisConnection::Connect(RedisAddressOf(redirection->host, url_.login, 0));
}

// --- What nodes say ---------------------------------------------------------------------------

int RedisClusterTopology::NumberOf(const RedisHost& node) {
  const auto found = std::find(nodes_.begin(), nodes_.end(), node);
  if (found == nodes_.end()) {
    nodes_.push_back(node);
    return static_cast<int>(nodes_.size()) - 1;
  }
  return static_cast<int>(found - nodes_.begin());
}

absl::Status RedisClusterTopology::Refresh() {
  std::uint64_t asked = 0;
  {
    const std::lock_guard lock(mutex_);
    if (answered_ == suspicions_) return absl::OkStatus();
    asked = asked_;
  }
  const std::lock_guard asking(ask_mutex_);
  std::uint64_t suspicions = 0;
  {
    // Whoever has waited while another asked takes its answer, so that no queue builds up.
    const std::lock_guard lock(mutex_);
    if (asked_ != asked) return absl::OkStatus();
    suspicions = suspicions_;
  }
  absl::StatusOr<std::vector<ClusterRange>> ranges;
  for (const RedisHost& node : NodesToAsk()) {
    ranges = Ask(node);
    if (ranges.ok()) break;
  }
  const std::lock_guard lock(mutex_);
  ++asked_;
  if (!ranges.ok()) return ranges.status();
  Learn(*ranges);
  answered_ = suspicions;
  return absl::OkStatus();
}

// Each failure begins with another node.
std::vector<RedisHost> RedisClusterTopology::NodesToAsk() {
  const std::lock_guard lock(mutex_);
  std::vector<RedisHost> nodes;
  const auto add = [&nodes](const RedisHost& node) {
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
  };
  for (const RedisHost& node : to_ask_) add(node);
  for (const RedisHost& node : url_.hosts) add(node);
  to_ask_ = nodes;
  std::rotate(to_ask_.begin(), to_ask_.begin() + 1, to_ask_.end());
  return nodes;
}

absl::StatusOr<std::vector<ClusterRange>> RedisClusterTopology::Ask(const RedisHost& node) const {
  RedisAddress address = RedisAddressOf(node, url_.login, 0);
  address.connect_timeout = kAskTimeout;
  address.command_timeout = kAskTimeout;
  DROPOUTD_ASSIGN_OR_RETURN(const auto connection, HiredisConnection::Connect(address));
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, connection->Run({"CLUSTER", "SLOTS"}));
  if (answer.ErrorWord() == "ERR") return ClusterError("a node is not part of a cluster");
  if (answer.is_error()) return ClusterError(answer.ErrorWord());
  auto ranges = ParseClusterSlots(answer, node);
  if (!ranges.has_value()) return ClusterError("answers nonsense");
  if (ranges->empty()) return ClusterError("a node knows of no slots");
  return *std::move(ranges);
}

void RedisClusterTopology::Learn(const std::vector<ClusterRange>& ranges) {
  std::vector<RedisHost> primaries;
  for (const ClusterRange& range : ranges) {
    const int number = NumberOf(range.primary);
    if (std::find(primaries.begin(), primaries.end(), range.primary) == primaries.end()) {
      primaries.push_back(range.primary);
    }
    for (std::size_t bucket = 0; bucket < slots_.size(); ++bucket) {
      if (slots_[bucket] >= range.first && slots_[bucket] <= range.last)
        primaries_[bucket] = number;
    }
  }
  // Of the nodes that were to be asked some may have gone for good: only those named go on.
  std::erase_if(to_ask_, [&](const RedisHost& node) {
    return std::find(primaries.begin(), primaries.end(), node) == primaries.end();
  });
  for (const RedisHost& node : primaries) {
    if (std::find(to_ask_.begin(), to_ask_.end(), node) == to_ask_.end()) to_ask_.push_back(node);
  }
}

}  // namespace dropoutd
