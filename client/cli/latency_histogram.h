// Latencies, counted in buckets whose width grows with the latency.
#ifndef DROPOUTD_CLIENT_CLI_LATENCY_HISTOGRAM_H_
#define DROPOUTD_CLIENT_CLI_LATENCY_HISTOGRAM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dropout::cli {

// As an HDR histogram: a power of two is cut into 128 buckets of equal width, so that what is
// read is within 1 % of what was recorded, at any size and in bounded memory. Not thread-safe.
class LatencyHistogram {
 public:
  // Below 0 counts as 0.
  void Record(std::chrono::nanoseconds latency);
  void Add(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  std::chrono::nanoseconds max() const { return std::chrono::nanoseconds(max_); }

  // The smallest latency that a share of `rank`, in [0, 1], of all does not pass, rounded up to its
  // bucket's end; 0 where nothing was recorded.
  std::chrono::nanoseconds Percentile(double rank) const;

 private:
  std::vector<std::uint64_t> buckets_;  // Up to the largest that has any.
  std::uint64_t count_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_LATENCY_HISTOGRAM_H_
