#include "tests/simulation/redis_site.h"

#include <algorithm>
#include <utility>

namespace dropoutd {
namespace {

constexpr std::int64_t kBeginning = 1'700'000'000'000'000;  // Microseconds since 1970.

}  // namespace

RedisSite::RedisSite(Scheduler& scheduler, std::size_t nodes) : scheduler_(scheduler) {
  for (std::size_t i = 0; i < nodes; ++i) {
    Node& node = nodes_.emplace_back();
    node.redis = std::make_unique<LuaRedis>([this] { return Clock(); });
    node.redis->set_read_only(i != primary_);
    node.redis->set_wait([this](std::int64_t replicas, std::int64_t) {
      if (nodes_.size() < 2) return std::int64_t{0};
      Replicate();
      return std::min(replicas, static_cast<std::int64_t>(nodes_.size()) - 1);
    });
  }
}

std::int64_t RedisSite::Clock() const {
  const auto since =
      std::chrono::duration_cast<std::chrono::microseconds>(scheduler_.now()) + clock_offset_;
  const std::int64_t now = kBeginning + since.count();
  latest_clock_ = std::max(latest_clock_, now);
  return now;
}

void RedisSite::StepClock(std::chrono::microseconds step) {
  Clock();
  clock_offset_ += step;
  Clock();
}

void RedisSite::Replicate() {
  replicated_ = nodes_[primary_].redis->data();
  if (on_replicate_) on_replicate_();
}

void RedisSite::Kill() { nodes_[primary_].is_up = false; }

void RedisSite::Start(bool loses) {
  Node& node = nodes_[primary_];
  if (node.is_up) return;
  node.redis->Restart(loses ? replicated_ : node.redis->data());
  node.is_up = true;
  ++node.process;
  if (loses && on_loss_) on_loss_();
}

void RedisSite::FailOver() {
  nodes_[primary_].redis->set_read_only(true);
  Start(false);  // If it was down: as a replica that is not in step.
  primary_ = (primary_ + 1) % nodes_.size();
  Node& node = nodes_[primary_];
  node.redis->Restart(replicated_);
  node.redis->set_read_only(false);
  node.is_up = true;
  if (on_loss_) on_loss_();
}

void RedisSite::set_script_filter(LuaRedis::ScriptFilter filter) {
  for (Node& node : nodes_) node.redis->set_script_filter(filter);
}

void RedisSite::SetFull(bool full) {
  for (Node& node : nodes_) node.redis->set_full(full);
}

}  // namespace dropoutd
