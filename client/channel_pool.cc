#include "client/channel_pool.h"

#include <algorithm>
#include <utility>

namespace dropout {
namespace {

// Below what servers and proxies allow: 100 and more.
constexpr int kMostUses = 64;
constexpr auto kIdleTime = std::chrono::seconds(10);
// A limit that was found may have been a server that stood still.
constexpr auto kLimitTime = std::chrono::seconds(60);

}  // namespace

ChannelPool::ChannelPool(Make make) : make_(std::move(make)), found_limit_(kMostUses) {}

std::shared_ptr<Channel> ChannelPool::Lease() {
  const Clock::time_point now = Clock::now();
  std::vector<Slot> idle;  // Ends outside of the lock.
  const std::lock_guard<std::mutex> lock(mutex_);
  const int limit = Limit(now);
  auto slot = std::find_if(slots_.begin(), slots_.end(),
                           [&](const Slot& each) { return each.uses < limit; });
  if (slot == slots_.end()) {
    slot = slots_.insert(slots_.end(), Slot{make_(/*extra=*/!slots_.empty()), 0, now});
  }
  ++slot->uses;
  slot->used_last = now;
  const std::shared_ptr<Channel> owner = slot->channel;
  while (slots_.size() > 1 && slots_.back().uses == 0 &&
         now - slots_.back().used_last > kIdleTime) {
    idle.push_back(std::move(slots_.back()));
    slots_.pop_back();
  }
  return {owner.get(), [this, owner](const Channel* channel) { Return(*channel); }};
}

bool ChannelPool::IsFull(const Channel& channel) {
  const Clock::time_point now = Clock::now();
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto slot = Find(channel);
  if (slot == slots_.end() || slot->uses < 2) return false;
  found_limit_ = std::min(Limit(now), slot->uses - 1);
  found_at_ = now;
  return true;
}

bool ChannelPool::Has(const Channel& channel) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Find(channel) != slots_.end();
}

void ChannelPool::GiveUp(const Channel& channel) {
  std::shared_ptr<Channel> last;  // Ends outside of the lock.
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto slot = Find(channel);
  if (slot == slots_.end()) return;
  last = std::move(slot->channel);
  slots_.erase(slot);
}

std::vector<ChannelPool::Slot>::iterator ChannelPool::Find(const Channel& channel) {
  return std::find_if(slots_.begin(), slots_.end(),
                      [&](const Slot& each) { return each.channel.get() == &channel; });
}

int ChannelPool::Limit(Clock::time_point now) const {
  return now - found_at_ < kLimitTime ? found_limit_ : kMostUses;
}

void ChannelPool::Return(const Channel& channel) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto slot = Find(channel);
  if (slot == slots_.end()) return;
  --slot->uses;
  slot->used_last = Clock::now();
}

}  // namespace dropout
