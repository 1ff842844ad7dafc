#include "server/random/mask_key.h"

#include <cmath>

#include "server/random/philox.h"

namespace dropoutd {
namespace {

// "drop", "step" and "seqn" as little-endian words.
constexpr std::uint32_t kTagDrop = 0x706f7264;
constexpr std::uint32_t kTagStep = 0x70657473;
constexpr std::uint32_t kTagSequence = 0x6e716573;

constexpr std::uint32_t Low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
constexpr std::uint32_t High(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

// 64-bit FNV-1a (Fowler, Noll and Vo).
std::uint64_t Fnv1a64(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

}  // namespace

std::uint64_t BernoulliThreshold(double p) { return static_cast<std::uint64_t>(std::ldexp(p, 64)); }

kernels::NoiseStream MakeNoiseStream(const MaskKey& key) {
  const std::uint64_t layer = Fnv1a64(key.layer_id);
  const std::uint32_t kind = key.kind == KeyKind::kStep ? kTagStep : kTagSequence;
  const PhiloxBlock a =
      Philox4x32({Low(key.seed), High(key.seed), Low(layer), High(layer)}, {kTagDrop, kind});
  const PhiloxBlock k = Philox4x32({Low(key.value), High(key.value), a[2], a[3]}, {a[0], a[1]});
  return {{k[0], k[1]}, k[2]};
}

kernels::BernoulliStream MakeBernoulliStream(const MaskKey& key, double p) {
  return {MakeNoiseStream(key), BernoulliThreshold(p)};
}

}  // namespace dropoutd
