// Connections that wait to be accepted.
#ifndef DROPOUTD_SERVER_MAIN_HEALTH_ACCEPT_QUEUE_H_
#define DROPOUTD_SERVER_MAIN_HEALTH_ACCEPT_QUEUE_H_

#include <cstdint>
#include <optional>

namespace dropoutd {

// What is seen of a listening socket's queue at one moment.
struct AcceptQueueLook {
  bool is_empty = true;
  std::optional<std::uint32_t> length;  // TCP alone says.
};

// Judges a listener by its queue. A connection leaves the queue by being accepted and in no other
// way, whatever its client does. So a queue that is never empty and never shorter than at the look
// before has had no accept.
class AcceptQueue {
 public:
  void Take(const AcceptQueueLook& look);

  // How many looks in a row have seen no sign of an accept.
  int looks_without_accept() const { return looks_; }

 private:
  int looks_ = 0;
  std::optional<std::uint32_t> length_;
};

// Looks at a listening socket. It takes nothing from the queue and needs no descriptor.
AcceptQueueLook LookAtQueue(int listener);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_HEALTH_ACCEPT_QUEUE_H_
