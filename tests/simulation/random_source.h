// What a seed decides.
#ifndef DROPOUTD_TESTS_SIMULATION_RANDOM_SOURCE_H_
#define DROPOUTD_TESTS_SIMULATION_RANDOM_SOURCE_H_

#include <chrono>
#include <cstdint>

namespace dropoutd {

// The same numbers from the same seed, on every machine. Not thread-safe.
class RandomSource64 {
 public:
  explicit RandomSource64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    // SplitMix64.
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  // 0 to end - 1. `end` is above 0.
  std::uint64_t Below(std::uint64_t end) { return Next() % end; }

  // 0 up to, and without, 1.
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  bool Chance(double probability) { return Fraction() < probability; }

  std::chrono::nanoseconds Between(std::chrono::nanoseconds first, std::chrono::nanoseconds last) {
    if (last <= first) return first;
    return first +
           std::chrono::nanoseconds(Below(static_cast<std::uint64_t>((last - first).count())));
  }

 private:
  std::uint64_t state_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_RANDOM_SOURCE_H_
