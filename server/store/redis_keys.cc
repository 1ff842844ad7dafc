#include "server/store/redis_keys.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/crc32c.h"
#include "server/store/redis_topology.h"

namespace dropoutd {

int RedisBucketOf(std::string_view key) { return static_cast<int>(Crc32c(key) % kRedisBuckets); }

RedisIndex::RedisIndex(int bucket, bool is_cluster) {
  const std::string head = is_cluster ? absl::StrCat("dropout:{", bucket, "}:") : "dropout:index:";
  keys = head + "keys";
  expiry = head + "expiry";
}

RedisKeys::RedisKeys(std::string_view session_in, bool is_cluster_in)
    : session(session_in),
      is_cluster(is_cluster_in),
      bucket(RedisBucketOf(session_in)),
      index(bucket, is_cluster_in),
      d(absl::StrCat("dropout:{", bucket, "}:", session, ":d")) {
  if (!is_cluster) stub = absl::StrCat("dropout:{", session, "}:d");
}

std::string RedisKeys::BaseOf(Token incarnation) const {
  return absl::StrCat(d.substr(0, d.size() - 1), absl::BytesToHexString(incarnation.Bytes()), ":");
}

std::vector<std::string> RedisKeys::Of(Token incarnation) const {
  const std::string base = BaseOf(incarnation);
  std::vector<std::string> keys = {d, base + "f", base + "n", base + "x", index.keys, index.expiry};
  if (!is_cluster) keys.push_back(stub);
  return keys;
}

RedisBounds BoundsOf(const FieldRange& range) {
  // In a sorted set nothing may come before the first and after the last.
  if (range.last <= range.first) return {"+", "-"};
  return {"[" + range.first, "(" + range.last};
}

RedisBounds BoundsOfPrefix(std::string_view prefix) {
  std::string last(prefix);
  while (!last.empty() && static_cast<unsigned char>(last.back()) == 0xFF) last.pop_back();
  if (!last.empty()) ++last.back();
  return {absl::StrCat("[", absl::string_view(prefix.data(), prefix.size())),
          last.empty() ? "+" : "(" + last};
}

}  // namespace dropoutd
