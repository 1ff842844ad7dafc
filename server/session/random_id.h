// Seeds and ids that the server picks, from the operating system's randomness.
#ifndef DROPOUTD_SERVER_SESSION_RANDOM_ID_H_
#define DROPOUTD_SERVER_SESSION_RANDOM_ID_H_

#include <cstdint>
#include <string>

namespace dropoutd {

std::uint64_t RandomSeed();

// 128 random bits as 32 hexadecimal digits.
std::string RandomId();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_RANDOM_ID_H_
