#include "tests/bench/capacity_model.h"

#include <algorithm>

namespace dropoutd::bench {
namespace {

constexpr std::size_t kFirstRedis = 2;  // After the client and the server.

}  // namespace

Costs CapacityModel::At(std::size_t byte_size) const {
  const double share = (static_cast<double>(byte_size) - kSmall) / (kLarge - kSmall);
  Costs costs;
  for (std::size_t i = 0; i < small_.size(); ++i) {
    costs.push_back(small_[i] + share * (large_[i] - small_[i]));
  }
  return costs;
}

double CapacityModel::SecondsAt(std::size_t byte_size, double processors) const {
  return SecondsOn(At(byte_size), processors);
}

double LongestOfRedis(const Costs& costs) {
  double longest = 0;
  for (std::size_t i = kFirstRedis; i < costs.size(); ++i) longest = std::max(longest, costs[i]);
  return longest;
}

double SecondsOn(const Costs& costs, double processors) {
  return std::max(Sum(costs) / processors, LongestOfRedis(costs));
}

}  // namespace dropoutd::bench
