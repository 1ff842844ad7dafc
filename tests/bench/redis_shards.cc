#include "tests/bench/redis_shards.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dropoutd::bench {
namespace {

constexpr char kClient[] = "/usr/bin/redis-cli";
constexpr int kTries = 1000;

bool Succeeds(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

bool IsWhole(const RedisChild& node) {
  return Succeeds(std::string(kClient) + " -p " + std::to_string(node.port()) +
                  " cluster info | grep -q cluster_state:ok");
}

}  // namespace

bool RedisShards::AreInstalled() {
  return RedisChild::IsInstalled() && std::filesystem::exists(kClient);
}

RedisShards::RedisShards() {
  std::string command = std::string(kClient) + " --cluster create";
  for (int i = 0; i < kPrimaries; ++i) {
    nodes_.push_back(std::make_unique<RedisChild>(std::vector<std::string>{
        "--cluster-enabled", "yes", "--cluster-port", std::to_string(FreePort())}));
    command += " 127.0.0.1:" + std::to_string(nodes_.back()->port());
  }
  if (!Succeeds(command + " --cluster-yes")) {
    throw std::runtime_error("redis-cli makes no cluster");
  }
  for (int i = 0;
       !std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return IsWhole(*node); });
       ++i) {
    if (i == kTries) throw std::runtime_error("the cluster does not become whole");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::string RedisShards::url() const {
  return absl::StrCat("redis+cluster://",
                      absl::StrJoin(nodes_, ",", [](std::string* out, auto& node) {
                        absl::StrAppend(out, "127.0.0.1:", node->port());
                      }));
}

std::vector<pid_t> RedisShards::pids() const {
  std::vector<pid_t> pids;
  for (const auto& node : nodes_) pids.push_back(node->pid());
  return pids;
}

}  // namespace dropoutd::bench
