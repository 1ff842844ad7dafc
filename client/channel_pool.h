// Channels to one server, as many as the calls under way need.
#ifndef DROPOUTD_CLIENT_CHANNEL_POOL_H_
#define DROPOUTD_CLIENT_CHANNEL_POOL_H_

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "client/channel.h"

namespace dropout {

// A server, or a proxy before it, bounds the calls of one connection, and gRPC lets those past the
// bound wait without a word. So a channel carries at most 64 calls, fewer where that has been
// found too many, and calls past that get a further channel. Thread-safe. Must outlive what it
// lends.
class ChannelPool {
 public:
  // Makes a channel; `extra`: beside others.
  using Make = std::function<std::shared_ptr<Channel>(bool extra)>;

  explicit ChannelPool(Make make);

  // A channel for one call: it counts as used until the pointer's last copy is gone. Channels
  // that were made first are taken first, so that later ones become idle; an idle one that is not
  // the only one is forgotten after a while.
  std::shared_ptr<Channel> Lease();

  // To be asked when a call on a lent channel waits for its start: whether others use the
  // channel, so that it may be full. If so, the pool's channels take only as many calls as
  // those others from now on, for about a minute.
  bool IsFull(const Channel& channel);

  // Whether the channel is still lent.
  bool Has(const Channel& channel);

  // Lends the channel no more. It ends with its last user.
  void GiveUp(const Channel& channel);

 private:
  using Clock = std::chrono::steady_clock;

  struct Slot {
    std::shared_ptr<Channel> channel;
    int uses = 0;
    Clock::time_point used_last;
  };

  std::vector<Slot>::iterator Find(const Channel& channel);
  int Limit(Clock::time_point now) const;
  void Return(const Channel& channel);

  const Make make_;
  std::mutex mutex_;
  std::vector<Slot> slots_;
  int found_limit_;
  Clock::time_point found_at_;
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CHANNEL_POOL_H_
