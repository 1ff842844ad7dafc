// Which slot of a Redis Cluster keys belong to.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SLOTS_H_
#define DROPOUTD_SERVER_STORE_REDIS_SLOTS_H_

#include <string_view>

namespace dropoutd {

inline constexpr int kRedisSlots = 16384;

// The slot, in [0, kRedisSlots), of keys whose hash tag is `tag`: the text between their first {
// and the next }.
int RedisSlotOf(std::string_view tag);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SLOTS_H_
