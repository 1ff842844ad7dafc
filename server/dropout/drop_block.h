// The noise of DropBlock: seeds where a whole block fits, each of which drops its block.
#ifndef DROPOUTD_SERVER_DROPOUT_DROP_BLOCK_H_
#define DROPOUTD_SERVER_DROPOUT_DROP_BLOCK_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/dropout/layer_config.h"
#include "server/dropout/packed_bits.h"
#include "server/dropout/shape.h"
#include "server/kernels/bernoulli_bits.h"

namespace dropoutd {

// Geometry of the maps of one call. A value; no allocation.
//
// A noise tensor of shape (N, C, d1, ...), in any order of channel and spatial axes, has N * C
// maps of `places` seed places each, row-major. Draw i of map (n, c) has the index
// ((sample_offset + n) C + c) places + i, wherever the channel axis is.
struct BlockLayout {
  static constexpr int kMaxSpatialAxes = 3;

  int spatial_axes = 0;
  std::array<std::int64_t, kMaxSpatialAxes> sizes{};    // d, of the map.
  std::array<std::int64_t, kMaxSpatialAxes> blocks{};   // b, in [1, d].
  std::array<std::int64_t, kMaxSpatialAxes> strides{};  // In elements of the noise.
  std::int64_t samples = 0;
  std::int64_t channels = 0;  // 1 where channels share a map.
  std::int64_t sample_stride = 0;
  std::int64_t channel_stride = 0;
  std::int64_t places = 0;  // prod(d - b + 1).
  double gamma = 0.0;       // P(seed).
  DropBlockOptions::Normalization normalization = DropBlockOptions::Normalization::kSample;
};

// The geometry for noise of shape `noise`. INVALID_LAYER for a rank without 1 to 3 spatial axes,
// a number of block sizes that is neither one nor theirs, or maps too large for EXACT.
absl::StatusOr<BlockLayout> MakeBlockLayout(const DropBlockOptions& options, double p,
                                            const Shape& noise);

// The bits of the whole noise. `seeds`: P(0 bit) is gamma. `first_index`: of map (0, 0)'s first
// place.
PackedBits DrawBlocks(const BlockLayout& layout, const kernels::BernoulliStream& seeds,
                      std::uint64_t first_index);

// What kept elements are multiplied by: size / kept, 0 where nothing is kept. One number for each
// sample, or, with BATCH, one in all.
std::vector<double> BlockScales(const BlockLayout& layout, const PackedBits& bits);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_DROP_BLOCK_H_
