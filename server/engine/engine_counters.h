// What an engine counts of its work, for its operators.
#ifndef DROPOUTD_SERVER_ENGINE_ENGINE_COUNTERS_H_
#define DROPOUTD_SERVER_ENGINE_ENGINE_COUNTERS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "server/dropout/drop_sample.h"
#include "server/dropout/variant.h"
#include "server/session/clock.h"

namespace dropoutd {

// How many elements of a variant's masks were dropped, and how many were to be: a generator that is
// stuck, or a bias, shows as a difference.
struct DropCounters {
  std::atomic<std::uint64_t> elements{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<double> expected{0};
};

// All grow only. Thread-safe.
class EngineCounters {
 public:
  // A mask that a Forward has drawn.
  void CountMask(const LayerConfig& config, const DropSample& sample) {
    DropCounters& drops = drops_[config.options.index()];
    drops.elements.fetch_add(sample.elements, std::memory_order_relaxed);
    drops.dropped.fetch_add(sample.dropped, std::memory_order_relaxed);
    drops.expected.fetch_add(sample.expected, std::memory_order_relaxed);
  }

  // A mask that was evicted is made again.
  void CountRegeneration() { regenerations_.fetch_add(1, std::memory_order_relaxed); }

  void CountKernel(bool is_forward, Nanoseconds time) {
    kernel_nanoseconds_[is_forward ? 0 : 1].fetch_add(time.count(), std::memory_order_relaxed);
  }

  // In the order of kVariants.
  const std::array<DropCounters, kVariants.size()>& drops() const { return drops_; }
  std::uint64_t regenerations() const { return regenerations_; }
  // Of all threads together.
  Nanoseconds kernel_time(bool is_forward) const {
    return Nanoseconds(kernel_nanoseconds_[is_forward ? 0 : 1]);
  }

 private:
  std::array<DropCounters, kVariants.size()> drops_;
  std::atomic<std::uint64_t> regenerations_{0};
  std::array<std::atomic<std::int64_t>, 2> kernel_nanoseconds_ = {};
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_ENGINE_ENGINE_COUNTERS_H_
