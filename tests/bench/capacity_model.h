// The capacity model of docs/operations.md: what steps of one size cost, from two other sizes.
#ifndef DROPOUTD_TESTS_BENCH_CAPACITY_MODEL_H_
#define DROPOUTD_TESTS_BENCH_CAPACITY_MODEL_H_

#include <cstddef>

#include "tests/bench/training.h"

namespace dropoutd::bench {

// cost = call + byte * bytes, of each process.
class CapacityModel {
 public:
  static constexpr std::size_t kSmall = 4 << 10;
  static constexpr std::size_t kLarge = 1 << 20;

  // What a step of kSmall bytes and one of kLarge bytes cost.
  CapacityModel(const Costs& small, const Costs& large) : small_(small), large_(large) {}

  Costs At(std::size_t byte_size) const;

  // Seconds between the ends of two steps when `processors` are busy.
  double SecondsAt(std::size_t byte_size, double processors) const;

 private:
  const Costs small_;
  const Costs large_;
};

// The part of the Redis process that has most to do, 0 where there is none. Each has one thread, so
// that no step takes less, however many servers there are.
double LongestOfRedis(const Costs& costs);

// Seconds between the ends of two steps of these costs when `processors` are busy.
double SecondsOn(const Costs& costs, double processors);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_CAPACITY_MODEL_H_
