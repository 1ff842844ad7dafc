#include "server/dropout/pass.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "server/base/running_work.h"
#include "server/dropout/bit_expander.h"
#include "server/dropout/kernel_for.h"
#include "server/kernels/affine_mask.h"
#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/fresh_mask.h"
#include "server/kernels/masked_scale.h"
#include "server/kernels/multiply.h"
#include "server/kernels/stores.h"

namespace dropoutd {
namespace {

// Elements between two switches of kernel: a chunk of any type and its bits fit the
// first-level cache or nearly so.
constexpr std::size_t kChunk = 4096;
constexpr std::size_t kMultiplierChunk = 1024;

// Outputs from this size on pass the caches by.
constexpr std::size_t kStreamingBytes = std::size_t{16} << 20;

using ChunkBits = std::array<std::uint8_t, kChunk / 8>;

std::size_t NoiseCount(const Plan& plan) {
  return static_cast<std::size_t>(plan.layout.noise.ElementCount());
}

// What is overwritten was just read, so it is in the caches.
kernels::Stores StoresFor(std::size_t byte_size, bool in_place) {
  return byte_size >= kStreamingBytes && !in_place ? kernels::Stores::kStreaming
                                                   : kernels::Stores::kCached;
}

// The kernels by type.

void MaskedScale(DataType dtype, const void* x, const std::uint8_t* bits, std::size_t n,
                 double scale, void* y, kernels::Stores stores) {
  KernelFor(dtype, kernels::MaskedScaleF32, kernels::MaskedScaleF64, kernels::MaskedScaleF16,
            kernels::MaskedScaleBF16)(x, bits, n, scale, y, stores);
}

void AffineMask(DataType dtype, const void* x, const std::uint8_t* bits, std::size_t n,
                const kernels::Affine& f, void* y, kernels::Stores stores) {
  KernelFor(dtype, kernels::AffineMaskF32, kernels::AffineMaskF64, kernels::AffineMaskF16,
            kernels::AffineMaskBF16)(x, bits, n, f, y, stores);
}

void FreshMaskedScale(DataType dtype, const kernels::FreshBits& fresh, const void* x, std::size_t n,
                      double scale, void* y, kernels::Stores stores) {
  KernelFor(dtype, kernels::FreshMaskedScaleF32, kernels::FreshMaskedScaleF64,
            kernels::FreshMaskedScaleF16,
            kernels::FreshMaskedScaleBF16)(fresh, x, n, scale, y, stores);
}

void FreshAffineMask(DataType dtype, const kernels::FreshBits& fresh, const void* x, std::size_t n,
                     const kernels::Affine& f, void* y, kernels::Stores stores) {
  KernelFor(dtype, kernels::FreshAffineMaskF32, kernels::FreshAffineMaskF64,
            kernels::FreshAffineMaskF16, kernels::FreshAffineMaskBF16)(fresh, x, n, f, y, stores);
}

void MultiplyBy(DataType dtype, const void* x, const double* m, std::size_t n, void* y,
                kernels::Stores stores) {
  KernelFor(dtype, kernels::MultiplyF32, kernels::MultiplyF64, kernels::MultiplyF16,
            kernels::MultiplyBF16)(x, m, n, y, stores);
}

}  // namespace

// The elements of one Run, without their types.
struct Pass::Piece {
  DataType dtype;
  std::size_t begin;  // In the tensor.
  std::size_t count;
  const std::byte* x;
  std::byte* y;
  kernels::Stores stores;

  std::size_t ByteSize(std::size_t n) const {
    return n * static_cast<std::size_t>(ElementSize(dtype));
  }
  const void* X(std::size_t element) const { return x + ByteSize(element - begin); }
  void* Y(std::size_t element) const { return y + ByteSize(element - begin); }
  std::size_t end() const { return begin + count; }

  // Calls body(element, n) for chunks of at most `size` elements.
  template <typename Body>
  void ForEachChunk(std::size_t size, Body body) const {
    WorkMeter meter;
    for (std::size_t at = begin; at < end(); at += size) {
      const std::size_t n = std::min(size, end() - at);
      body(at, n);
      meter.Add(n);
    }
  }
};

Pass::Pass(const Plan& plan, DataType dtype, SharedBits bits, Bits fresh_bits)
    : plan_(plan),
      dtype_(dtype),
      count_(static_cast<std::size_t>(plan.layout.tensor.ElementCount())),
      bits_(std::move(bits)) {
  if (!plan_.Draws()) return;
  if (!plan_.IsBinary()) {
    multipliers_.emplace(plan_);
    return;
  }
  if (bits_ == nullptr) {
    is_fresh_ = plan_.layout.IsElementwise() && plan_.action != Action::kBlock;
    if (!is_fresh_) {
      bits_ = std::make_shared<const PackedBits>(DrawBits(plan_));
    } else if (fresh_bits == Bits::kKeep) {
      kept_ = std::make_shared<PackedBits>(count_);
    }
  }
  if (plan_.action == Action::kBlock) sample_scales_ = BlockScales(plan_.blocks, *bits_);
}

void Pass::Run(std::size_t begin, std::size_t n, const void* x, void* y) const {
  const Piece piece{dtype_,
                    begin,
                    n,
                    static_cast<const std::byte*>(x),
                    static_cast<std::byte*>(y),
                    StoresFor(count_ * static_cast<std::size_t>(ElementSize(dtype_)), x == y)};
  if (n == 0) return;
  switch (plan_.action) {
    case Action::kCopy:
      if (x != y) std::memcpy(y, x, piece.ByteSize(n));
      return;
    case Action::kScale:
      ScaleAll(piece);
      break;
    case Action::kMask:
    case Action::kAlpha:
      is_fresh_ ? MaskFresh(piece) : Mask(piece);
      break;
    case Action::kBlock:
      MaskBlocks(piece);
      break;
    case Action::kMultiply:
      Multiply(piece);
      break;
    case Action::kLinear:
      return;  // Not of elements.
  }
  if (piece.stores == kernels::Stores::kStreaming) kernels::FlushStores();
}

// Elements begin .. begin + n - 1, whose bits start at bits[0].
void Pass::ApplyBits(const Piece& piece, std::size_t begin, std::size_t n, const std::uint8_t* bits,
                     double scale) const {
  const void* const x = piece.X(begin);
  void* const y = piece.Y(begin);
  if (plan_.action == Action::kAlpha) {
    return AffineMask(piece.dtype, x, bits, n, {scale, plan_.shift, plan_.dropped}, y,
                      piece.stores);
  }
  MaskedScale(piece.dtype, x, bits, n, scale, y, piece.stores);
}

void Pass::ScaleAll(const Piece& piece) const {
  ChunkBits ones;
  ones.fill(0xFF);
  piece.ForEachChunk(kChunk, [&](std::size_t at, std::size_t n) {
    ApplyBits(piece, at, n, ones.data(), plan_.scale);
  });
}

void Pass::Mask(const Piece& piece) const {
  if (plan_.layout.IsElementwise()) {
    piece.ForEachChunk(kChunk, [&](std::size_t at, std::size_t n) {
      ApplyBits(piece, at, n, bits_->data() + at / 8, plan_.scale);
    });
    return;
  }
  BitExpander expander(plan_.layout, *bits_, piece.begin);
  ChunkBits expanded;
  piece.ForEachChunk(kChunk, [&](std::size_t at, std::size_t n) {
    expander.Next(n, expanded.data());
    ApplyBits(piece, at, n, expanded.data(), plan_.scale);
  });
}

void Pass::MaskFresh(const Piece& piece) const {
  const kernels::FreshBits fresh{plan_.stream, plan_.layout.first_index + piece.begin,
                                 kept_ != nullptr ? kept_->data() + piece.begin / 8 : nullptr};
  if (plan_.action == Action::kAlpha) {
    return FreshAffineMask(piece.dtype, fresh, piece.x, piece.count,
                           {plan_.scale, plan_.shift, plan_.dropped}, piece.y, piece.stores);
  }
  FreshMaskedScale(piece.dtype, fresh, piece.x, piece.count, plan_.scale, piece.y, piece.stores);
}

// Chunks end where samples do, because each sample has a scale of its own.
void Pass::MaskBlocks(const Piece& piece) const {
  const bool by_sample = plan_.blocks.normalization == DropBlockOptions::Normalization::kSample;
  const std::size_t samples = static_cast<std::size_t>(plan_.blocks.samples);
  const std::size_t sample_size = by_sample ? count_ / samples : count_;
  BitExpander expander(plan_.layout, *bits_, piece.begin);
  ChunkBits expanded;
  WorkMeter meter;
  for (std::size_t at = piece.begin; at < piece.end();) {
    const std::size_t sample = at / sample_size;
    const std::size_t n = std::min({kChunk, piece.end() - at, (sample + 1) * sample_size - at});
    expander.Next(n, expanded.data());
    ApplyBits(piece, at, n, expanded.data(), sample_scales_[sample]);
    at += n;
    meter.Add(n);
  }
}

void Pass::Multiply(const Piece& piece) const {
  std::array<double, kMultiplierChunk> multipliers;
  piece.ForEachChunk(kMultiplierChunk, [&](std::size_t at, std::size_t n) {
    multipliers_->Noise(at, n, multipliers.data());
    multipliers_->FromNoise(n, multipliers.data());
    MultiplyBy(piece.dtype, piece.X(at), multipliers.data(), n, piece.Y(at), piece.stores);
  });
}

PackedBits DrawBits(const Plan& plan) {
  if (plan.action == Action::kBlock) {
    return DrawBlocks(plan.blocks, plan.stream, plan.layout.first_index);
  }
  PackedBits bits(NoiseCount(plan));
  kernels::BernoulliBits(plan.stream, plan.layout.first_index, bits.count(), bits.data());
  return bits;
}

PackedBits KeepAllBits(const Plan& plan) {
  return PackedBits::AllKept(static_cast<std::size_t>(plan.mask_shape.ElementCount()));
}

}  // namespace dropoutd
