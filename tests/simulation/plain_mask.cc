#include "tests/simulation/plain_mask.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "server/kernels/elementary.h"
#include "server/random/philox.h"
#include "tests/simulation/session_state.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMostKnown = 100'000;
constexpr double kTemperature = 0.1;

std::uint32_t Lo(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t Hi(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

// Section 1.
PhiloxBlock KeyOf(const MaskPlace& place) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : LayerIdOf(place.layer)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  const PhiloxBlock a =
      Philox4x32({Lo(place.seed), Hi(place.seed), Lo(hash), Hi(hash)}, {0x706f7264, 0x70657473});
  return Philox4x32({Lo(place.step), Hi(place.step), a[2], a[3]}, {a[0], a[1]});
}

// Section 3.
bool IsKept(const PhiloxBlock& key, std::uint64_t g, double p) {
  const PhiloxBlock x = Philox4x32({Lo(g / 16), Hi(g / 16), key[2], 0}, {key[0], key[1]});
  const std::uint64_t i = g % 16;
  const std::uint64_t byte = x[i / 4] >> (8 * (i % 4)) & 0xff;
  const auto threshold = static_cast<std::uint64_t>(std::ldexp(p, 64));
  const std::uint64_t top = threshold >> 56;
  if (byte != top) return byte > top;
  const PhiloxBlock y = Philox4x32({Lo(g), Hi(g), key[2], 1}, {key[0], key[1]});
  return (y[0] | std::uint64_t{y[1]} << 32) >= threshold << 8;
}

// Sections 6 and 7.
double ConcreteMultiplier(const PhiloxBlock& key, std::uint64_t g, double logit) {
  const PhiloxBlock x = Philox4x32({Lo(g / 2), Hi(g / 2), key[2], 3}, {key[0], key[1]});
  const std::size_t first = g % 2 * 2;
  const std::uint64_t word = x[first] | std::uint64_t{x[first + 1]} << 32;
  const double drawn = static_cast<double>(2 * (word >> 12) + 1) * 0x1p-53;
  const double u = std::clamp(drawn, 0x1p-24, 1 - 0x1p-24);
  const double odds = kernels::Log(u) - kernels::Log(1 - u);
  const double z = kernels::Sigmoid((logit + odds) / kTemperature);
  return (1 - z) / kernels::Sigmoid(-logit);
}

}  // namespace

std::uint64_t PlainMasks::NameOf(const std::vector<float>& elements) {
  std::uint64_t name = 0xcbf29ce484222325;
  for (const float each : elements) {
    name = (name ^ std::bit_cast<std::uint32_t>(each)) * 0x9e3779b97f4a7c15;
    name ^= name >> 29;
  }
  return name ^ elements.size();
}

std::uint64_t PlainMasks::OfOnes(std::size_t count) {
  return NameOf(std::vector<float>(count, 1.0f));
}

std::uint64_t PlainMasks::Find(const MaskPlace& place) {
  const auto found = known_.find(place);
  if (found != known_.end()) return found->second;
  const Shape shape = ShapeOf(place.shape);
  const auto count = static_cast<std::uint64_t>(shape.ElementCount());
  const std::uint64_t size = count / static_cast<std::uint64_t>(shape[0]);
  const std::uint64_t first = static_cast<std::uint64_t>(place.sample_offset) * size;
  const PhiloxBlock key = KeyOf(place);
  std::vector<float> elements;
  for (std::uint64_t g = first; g < first + count; ++g) {
    if (place.is_concrete) {
      elements.push_back(static_cast<float>(ConcreteMultiplier(key, g, place.rate)));
    } else {
      const auto scale = static_cast<float>(1 / (1 - place.rate));
      elements.push_back(IsKept(key, g, place.rate) ? scale : 0.0f);
    }
  }
  if (known_.size() >= kMostKnown) known_.clear();
  return known_[place] = NameOf(elements);
}

}  // namespace dropoutd
