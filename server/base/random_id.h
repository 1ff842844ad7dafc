// Seeds, ids and tokens that the server picks, from the operating system's randomness.
#ifndef DROPOUTD_SERVER_BASE_RANDOM_ID_H_
#define DROPOUTD_SERVER_BASE_RANDOM_ID_H_

#include <cstdint>
#include <string>

namespace dropoutd {

// 64 random bits. Thread-safe.
std::uint64_t RandomSeed();

// 128 random bits as 32 hexadecimal digits.
std::string RandomId();

// Replaces the source of all of the above, for tests that must repeat; null restores it. Call it
// while no other thread draws.
using RandomSource = std::uint64_t (*)();
void SetRandomSource(RandomSource source);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_RANDOM_ID_H_
