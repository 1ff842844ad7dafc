#include "server/store/redis_cluster_map.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "server/store/redis_slots.h"

namespace dropoutd {
namespace {

bool IsBetween(std::int64_t value, std::int64_t least, std::int64_t most) {
  return value >= least && value <= most;
}

// {HOST, PORT, ...}
std::optional<RedisHost> ParseNode(const RedisValue& node, const RedisHost& asked) {
  if (node.list.size() < 2 || !IsBetween(node.list[1].integer, 1, 65535)) return std::nullopt;
  RedisHost host{node.list[0].text, static_cast<int>(node.list[1].integer)};
  if (host.name.empty()) host.name = asked.name;
  if (host.name == "?") return std::nullopt;  // Has a name, which is not known yet.
  return host;
}

}  // namespace

std::optional<std::vector<ClusterRange>> ParseClusterSlots(const RedisValue& answer,
                                                           const RedisHost& asked) {
  if (answer.kind != RedisValue::Kind::kList) return std::nullopt;
  std::vector<ClusterRange> ranges;
  for (const RedisValue& each : answer.list) {
    if (each.list.size() < 3) return std::nullopt;
    const std::int64_t first = each.list[0].integer;
    const std::int64_t last = each.list[1].integer;
    if (!IsBetween(first, 0, kRedisSlots - 1) || !IsBetween(last, first, kRedisSlots - 1)) {
      return std::nullopt;
    }
    const auto primary = ParseNode(each.list[2], asked);
    if (primary.has_value()) {
      ranges.push_back({static_cast<int>(first), static_cast<int>(last), *primary});
    }
  }
  return ranges;
}

std::optional<ClusterRedirection> ParseRedirection(std::string_view error) {
  const std::size_t first = error.find(' ');
  const std::size_t second = error.find(' ', first + 1);
  const std::size_t colon = error.rfind(':');  // An IPv6 address has others, and no brackets.
  if (first == std::string_view::npos || second == std::string_view::npos ||
      colon == std::string_view::npos || colon < second) {
    return std::nullopt;
  }
  ClusterRedirection redirection;
  const std::string slot(error.substr(first + 1, second - first - 1));
  const std::string port(error.substr(colon + 1));
  if (!absl::SimpleAtoi(slot, &redirection.slot) ||
      !IsBetween(redirection.slot, 0, kRedisSlots - 1) ||
      !absl::SimpleAtoi(port, &redirection.host.port) ||
      !IsBetween(redirection.host.port, 1, 65535)) {
    return std::nullopt;
  }
  redirection.host.name = error.substr(second + 1, colon - second - 1);
  if (redirection.host.name == "?") return std::nullopt;
  return redirection;
}

}  // namespace dropoutd
