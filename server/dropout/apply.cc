#include "server/dropout/apply.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "server/dropout/bit_expander.h"
#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/masked_scale.h"

namespace dropoutd {
namespace {

// Elements between two switches of kernel: a chunk of any type and its bits fit the
// first-level cache or nearly so.
constexpr std::size_t kChunk = 4096;

// Outputs from this size on pass the caches by.
constexpr std::size_t kStreamingBytes = std::size_t{16} << 20;

// The elements of one call, without their types.
struct Elements {
  DataType dtype;
  std::size_t count;
  const std::byte* x;
  std::byte* y;
  double scale;
  kernels::Stores stores;

  std::size_t ByteSize(std::size_t n) const {
    return n * static_cast<std::size_t>(ElementSize(dtype));
  }
};

Elements MakeElements(const Plan& plan, DataType dtype, const void* x, void* y) {
  Elements e{dtype,
             static_cast<std::size_t>(plan.layout.tensor.ElementCount()),
             static_cast<const std::byte*>(x),
             static_cast<std::byte*>(y),
             plan.scale,
             kernels::Stores::kCached};
  if (e.ByteSize(e.count) >= kStreamingBytes) e.stores = kernels::Stores::kStreaming;
  return e;
}

// Elements begin .. begin + n - 1, whose bits start at bits[0].
void MaskedScale(const Elements& e, std::size_t begin, std::size_t n, const std::uint8_t* bits) {
  const void* x = e.x + e.ByteSize(begin);
  void* y = e.y + e.ByteSize(begin);
  const auto scale32 = static_cast<float>(e.scale);
  switch (e.dtype) {
    case DataType::kFloat32:
      return kernels::MaskedScaleF32(x, bits, n, scale32, y, e.stores);
    case DataType::kFloat64:
      return kernels::MaskedScaleF64(x, bits, n, e.scale, y, e.stores);
    case DataType::kFloat16:
      return kernels::MaskedScaleF16(x, bits, n, scale32, y, e.stores);
    case DataType::kBFloat16:
      return kernels::MaskedScaleBF16(x, bits, n, scale32, y, e.stores);
  }
}

// Calls body(begin, n) for each chunk.
template <typename Body>
void ForEachChunk(const Elements& e, Body body) {
  for (std::size_t begin = 0; begin < e.count; begin += kChunk) {
    body(begin, std::min(kChunk, e.count - begin));
  }
  if (e.stores == kernels::Stores::kStreaming) kernels::FlushStores();
}

void ScaleAll(const Elements& e) {
  std::array<std::uint8_t, kChunk / 8> ones;
  ones.fill(0xFF);
  ForEachChunk(e, [&](std::size_t begin, std::size_t n) { MaskedScale(e, begin, n, ones.data()); });
}

void MaskElementwise(const Elements& e, const PackedBits& bits) {
  ForEachChunk(e, [&](std::size_t begin, std::size_t n) {
    MaskedScale(e, begin, n, bits.data() + begin / 8);
  });
}

void MaskShared(const Elements& e, const NoiseLayout& layout, const PackedBits& bits) {
  BitExpander expander(layout, bits);
  std::array<std::uint8_t, kChunk / 8> expanded;
  ForEachChunk(e, [&](std::size_t begin, std::size_t n) {
    expander.Next(n, expanded.data());
    MaskedScale(e, begin, n, expanded.data());
  });
}

std::size_t NoiseCount(const Plan& plan) {
  return static_cast<std::size_t>(plan.layout.noise.ElementCount());
}

}  // namespace

PackedBits DrawBits(const Plan& plan) {
  PackedBits bits(NoiseCount(plan));
  kernels::BernoulliBits(plan.stream, plan.layout.first_index, bits.count(), bits.data());
  return bits;
}

PackedBits KeepAllBits(const Plan& plan) { return PackedBits::AllKept(NoiseCount(plan)); }

void Apply(const Plan& plan, const PackedBits* bits, DataType dtype, const void* x, void* y) {
  const Elements e = MakeElements(plan, dtype, x, y);
  if (e.count == 0) return;
  switch (plan.action) {
    case Action::kCopy:
      if (x != y) std::memcpy(y, x, e.ByteSize(e.count));
      return;
    case Action::kScale:
      return ScaleAll(e);
    case Action::kMask:
      return plan.layout.IsElementwise() ? MaskElementwise(e, *bits)
                                         : MaskShared(e, plan.layout, *bits);
  }
}

PackedBits DrawAndApply(const Plan& plan, DataType dtype, const void* x, void* y) {
  if (!plan.layout.IsElementwise()) {
    PackedBits bits = DrawBits(plan);
    Apply(plan, &bits, dtype, x, y);
    return bits;
  }
  PackedBits bits(NoiseCount(plan));
  const Elements e = MakeElements(plan, dtype, x, y);
  // While a chunk's bits are computed, its elements are on their way to the cache.
  ForEachChunk(e, [&](std::size_t begin, std::size_t n) {
    std::uint8_t* chunk_bits = bits.data() + begin / 8;
    kernels::BernoulliBits(plan.stream, plan.layout.first_index + begin, n, chunk_bits,
                           {e.x + e.ByteSize(begin), e.ByteSize(n)});
    MaskedScale(e, begin, n, chunk_bits);
  });
  return bits;
}

}  // namespace dropoutd
