#include "client/cli/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace dropout::cli {
namespace {

constexpr int kBits = 7;  // 128 buckets to a power of two.
constexpr std::uint64_t kLinear = std::uint64_t{1} << (kBits + 1);  // Below it each value has one.

std::size_t BucketOf(std::uint64_t value) {
  if (value < kLinear) return static_cast<std::size_t>(value);
  const int shift = static_cast<int>(std::bit_width(value)) - (kBits + 1);
  return static_cast<std::size_t>((static_cast<std::uint64_t>(shift) << kBits) + (value >> shift));
}

// The largest value of the bucket.
std::uint64_t EndOf(std::size_t bucket) {
  if (bucket < kLinear) return bucket;
  const std::uint64_t shift = (bucket >> kBits) - 1;
  const std::uint64_t mantissa = bucket - (shift << kBits);
  return ((mantissa + 1) << shift) - 1;
}

}  // namespace

void LatencyHistogram::Record(std::chrono::nanoseconds latency) {
  const std::int64_t value = std::max<std::int64_t>(latency.count(), 0);
  const std::size_t bucket = BucketOf(static_cast<std::uint64_t>(value));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  max_ = std::max(max_, value);
}

void LatencyHistogram::Add(const LatencyHistogram& other) {
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::chrono::nanoseconds LatencyHistogram::Percentile(double rank) const {
  const auto wanted =
      static_cast<std::uint64_t>(std::max(1.0, std::ceil(rank * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted) {
      return std::chrono::nanoseconds(
          std::min<std::int64_t>(static_cast<std::int64_t>(EndOf(i)), max_));
    }
  }
  return max();
}

}  // namespace dropout::cli
