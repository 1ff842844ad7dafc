// How many files and sockets this process may have open.
#ifndef DROPOUTD_SERVER_MAIN_HEALTH_DESCRIPTOR_LIMIT_H_
#define DROPOUTD_SERVER_MAIN_HEALTH_DESCRIPTOR_LIMIT_H_

#include <cstdint>

namespace dropoutd {

// Raises the soft limit to the hard one, which needs no right. Returns what is in force then.
std::uint64_t RaiseDescriptorLimit();

std::uint64_t DescriptorLimit();

// How many are open; 0 where /proc does not say.
std::uint64_t OpenDescriptors();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_HEALTH_DESCRIPTOR_LIMIT_H_
