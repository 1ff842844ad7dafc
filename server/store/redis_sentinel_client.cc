#include "server/store/redis_sentinel_client.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

absl::Status SentinelError(std::string_view what) {
  return MakeError(Reason::kStoreUnavailable,
                   absl::StrCat("Redis Sentinel: ", absl::string_view(what.data(), what.size())));
}

bool IsText(const RedisValue& value) { return value.kind == RedisValue::Kind::kText; }

// Of a list of names and values, one after another.
std::string Property(const RedisValue& list, std::string_view name) {
  for (std::size_t i = 0; i + 1 < list.list.size(); i += 2) {
    if (list.list[i].text == name) return list.list[i + 1].text;
  }
  return {};
}

// During a fail-over a Sentinel names the new primary, and lists it as a replica of the old one.
void AddNode(const RedisValue& node, std::vector<RedisHost>& nodes) {
  RedisHost host;
  host.name = Property(node, "ip");
  if (host.name.empty() || !absl::SimpleAtoi(Property(node, "port"), &host.port)) return;
  if (std::find(nodes.begin(), nodes.end(), host) == nodes.end()) nodes.push_back(host);
}

// "NAME HOST PORT HOST PORT", of the old primary and the new one.
bool IsOf(std::string_view news, std::string_view primary) {
  return news.size() > primary.size() && news.starts_with(primary) && news[primary.size()] == ' ';
}

}  // namespace

absl::StatusOr<RedisSentinelClient> RedisSentinelClient::Connect(const RedisAddress& address) {
  DROPOUTD_ASSIGN_OR_RETURN(auto connection, HiredisConnection::Connect(address));
  return RedisSentinelClient(std::move(connection));
}

absl::StatusOr<SentinelView> RedisSentinelClient::Ask(std::string_view primary) {
  connection_->Append(RedisArguments{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", primary});
  connection_->Append(RedisArguments{"SENTINEL", "MASTER", primary});
  connection_->Append(RedisArguments{"SENTINEL", "REPLICAS", primary});
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue where, connection_->Receive());
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue state, connection_->Receive());
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue replicas, connection_->Receive());
  if (where.is_error()) return SentinelError(where.ErrorWord());
  if (where.kind == RedisValue::Kind::kNull) return SentinelError("knows no primary of this name");
  SentinelView view;
  if (where.list.size() != 2 || !absl::SimpleAtoi(where.list[1].text, &view.primary.port)) {
    return SentinelError("answers nonsense");
  }
  view.primary.name = where.list[0].text;
  view.nodes.push_back(view.primary);
  // A Sentinel's rules may forbid these; then its view counts least.
  if (!absl::SimpleAtoi(Property(state, "config-epoch"), &view.epoch)) view.epoch = 0;
  view.is_failing_over = absl::StrContains(Property(state, "flags"), "failover_in_progress");
  AddNode(state, view.nodes);
  for (const RedisValue& replica : replicas.list) AddNode(replica, view.nodes);
  return view;
}

absl::Status RedisSentinelClient::Subscribe() {
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer,
                            connection_->Run({"SUBSCRIBE", "+switch-master"}));
  return answer.is_error() ? SentinelError(answer.ErrorWord()) : absl::OkStatus();
}

absl::StatusOr<bool> RedisSentinelClient::HasSwitched(std::string_view primary) {
  bool has_switched = false;
  // The news before the answer are those that there are.
  connection_->Append(RedisArguments{"PING"});
  while (true) {
    DROPOUTD_ASSIGN_OR_RETURN(const RedisValue news, connection_->Receive());
    if (news.is_error()) return SentinelError(news.ErrorWord());
    const std::vector<RedisValue>& parts = news.list;
    if (!parts.empty() && parts[0].text == "pong") return has_switched;
    if (parts.size() == 3 && IsText(parts[2]) && IsOf(parts[2].text, primary)) has_switched = true;
  }
}

}  // namespace dropoutd
