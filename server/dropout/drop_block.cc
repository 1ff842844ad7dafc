#include "server/dropout/drop_block.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/dropout/block_rate.h"
#include "server/dropout/shared_axes.h"

namespace dropoutd {
namespace {

using Index3 = std::array<std::int64_t, BlockLayout::kMaxSpatialAxes>;

// Solving for gamma takes time in proportion: at most a second.
constexpr std::int64_t kMaxOverlaps = 1 << 16;

absl::Status Invalid(std::string_view message) { return MakeError(Reason::kInvalidLayer, message); }

// Ways in which blocks can overlap at a position: as many terms has EXACT's equation.
bool TooManyOverlaps(const BlockLayout& layout) {
  std::int64_t overlaps = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(layout.spatial_axes); ++i) {
    const std::int64_t most = std::min(layout.blocks[i], layout.sizes[i] - layout.blocks[i] + 1);
    if (most > kMaxOverlaps / overlaps) return true;
    overlaps *= most;
  }
  return false;
}

// The last answer of this thread: a layer asks the same at every step.
double CachedSeedRate(double p, std::span<const std::int64_t> sizes,
                      std::span<const std::int64_t> blocks, DropBlockOptions::Gamma kind) {
  struct Answer {
    double p = -1.0;
    DropBlockOptions::Gamma kind{};
    std::vector<std::int64_t> sizes, blocks;
    double gamma = 0.0;
  };
  thread_local Answer last;
  if (last.p != p || last.kind != kind || !std::ranges::equal(last.sizes, sizes) ||
      !std::ranges::equal(last.blocks, blocks)) {
    const double gamma = SeedRate(p, sizes, blocks, kind);
    last = {p, kind, {sizes.begin(), sizes.end()}, {blocks.begin(), blocks.end()}, gamma};
  }
  return last.gamma;
}

void ClearBits(std::uint8_t* bits, std::int64_t begin, std::int64_t count) {
  for (; count != 0 && begin % 8 != 0; ++begin, --count) {
    bits[begin / 8] &= static_cast<std::uint8_t>(~(1u << (begin % 8)));
  }
  std::memset(bits + begin / 8, 0, static_cast<std::size_t>(count / 8));
  begin += count / 8 * 8;
  count %= 8;
  if (count != 0) bits[begin / 8] &= static_cast<std::uint8_t>(~((1u << count) - 1));
}

// Drops the block whose first corner is `at`, in the map that starts at element `base`.
void DropBlockAt(const BlockLayout& layout, std::int64_t base, const Index3& at,
                 std::uint8_t* bits) {
  // Missing axes have one position and a stride of 0.
  const auto size = [&](int axis) {
    return axis < layout.spatial_axes ? layout.blocks[static_cast<std::size_t>(axis)] : 1;
  };
  for (std::size_t i = 0; i < at.size(); ++i) base += at[i] * layout.strides[i];
  const auto last = static_cast<std::size_t>(layout.spatial_axes - 1);
  // The innermost axis runs along neighbouring bits unless channels come last.
  const bool rows = layout.strides[last] == 1;
  const Index3 sizes = {size(0), size(1), size(2)};
  Index3 loops = sizes;
  if (rows) loops[last] = 1;
  for (std::int64_t i = 0; i < loops[0]; ++i) {
    for (std::int64_t j = 0; j < loops[1]; ++j) {
      for (std::int64_t k = 0; k < loops[2]; ++k) {
        const std::int64_t element =
            base + i * layout.strides[0] + j * layout.strides[1] + k * layout.strides[2];
        ClearBits(bits, element, rows ? sizes[last] : 1);
      }
    }
  }
}

// Drops the `block` - 1 elements behind each dropped one along an axis of `size` elements that are
// `stride` apart.
void Spread(std::int64_t size, std::int64_t stride, std::int64_t block, PackedBits& bits) {
  std::uint8_t* const bytes = bits.data();
  const auto count = static_cast<std::int64_t>(bits.count());
  WorkMeter meter;
  for (std::int64_t outer = 0; outer < count; outer += size * stride) {
    for (std::int64_t line = outer; line < outer + stride; ++line) {
      meter.Add(static_cast<std::size_t>(size));
      std::int64_t dropped_until = 0;
      for (std::int64_t x = 0; x < size; ++x) {
        const std::int64_t element = line + x * stride;
        std::uint8_t& byte = bytes[element / 8];
        const auto bit = static_cast<std::uint8_t>(1u << (element % 8));
        if ((byte & bit) == 0) dropped_until = x + block;
        if (x < dropped_until) byte &= static_cast<std::uint8_t>(~bit);
      }
    }
  }
}

// Elements of a block.
std::size_t VolumeOf(const BlockLayout& layout) {
  std::size_t volume = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(layout.spatial_axes); ++i) {
    volume *= static_cast<std::size_t>(layout.blocks[i]);
  }
  return volume;
}

// Whether the seeds' blocks have so many elements together that it is quicker to spread the seeds
// along each axis than to drop block after block, which can take the square of the map's size.
bool AreBlocksMany(const BlockLayout& layout) {
  constexpr double kMost = 8.0;  // Times the map.
  double elements = layout.gamma * static_cast<double>(layout.places);
  double map = 1.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(layout.spatial_axes); ++i) {
    elements *= static_cast<double>(layout.blocks[i]);
    map *= static_cast<double>(layout.sizes[i]);
  }
  return elements > kMost * map;
}

// Coordinates of seed place `place` of a map.
Index3 CornerOf(const BlockLayout& layout, std::int64_t place) {
  Index3 at{};
  for (int axis = layout.spatial_axes - 1; axis >= 0; --axis) {
    const auto i = static_cast<std::size_t>(axis);
    const std::int64_t places = layout.sizes[i] - layout.blocks[i] + 1;
    at[i] = place % places;
    place /= places;
  }
  return at;
}

// The maps' seeds, a piece at a time: calls drop(map, place) for each, in order.
template <typename Drop>
void ForEachSeed(const BlockLayout& layout, const kernels::BernoulliStream& seeds,
                 std::uint64_t first_index, Drop drop) {
  constexpr std::int64_t kPiece = 4096;
  std::array<std::uint64_t, kPiece / 64> kept;
  const std::int64_t total = layout.samples * layout.channels * layout.places;
  for (std::int64_t begin = 0; begin < total; begin += kPiece) {
    const std::int64_t n = std::min(kPiece, total - begin);
    kept.fill(~std::uint64_t{0});
    kernels::BernoulliBits(seeds, first_index + static_cast<std::uint64_t>(begin),
                           static_cast<std::size_t>(n),
                           reinterpret_cast<std::uint8_t*>(kept.data()));
    for (std::int64_t word = 0; word * 64 < n; ++word) {
      std::uint64_t dropped = ~kept[static_cast<std::size_t>(word)];
      if (n - word * 64 < 64) dropped &= (std::uint64_t{1} << (n - word * 64)) - 1;
      for (; dropped != 0; dropped &= dropped - 1) {
        const std::int64_t draw = begin + word * 64 + std::countr_zero(dropped);
        drop(draw / layout.places, draw % layout.places);
      }
    }
  }
}

double ScaleOf(std::size_t size, std::size_t kept) {
  return kept == 0 ? 0.0 : static_cast<double>(size) / static_cast<double>(kept);
}

}  // namespace

absl::StatusOr<BlockLayout> MakeBlockLayout(const DropBlockOptions& options, double p,
                                            const Shape& noise) {
  BlockLayout layout;
  layout.spatial_axes = noise.rank() - 2;
  if (layout.spatial_axes < 1 || layout.spatial_axes > BlockLayout::kMaxSpatialAxes) {
    return Invalid(absl::StrCat("drop_block: a tensor of rank ", noise.rank(),
                                ", must be 3 to 5: batch, channels and 1 to 3 spatial axes"));
  }
  const auto axes = static_cast<std::size_t>(layout.spatial_axes);
  if (options.block_size.size() != 1 && options.block_size.size() != axes) {
    return Invalid(absl::StrCat("drop_block.block_size: ", options.block_size.size(),
                                " numbers, must be 1, or ", axes, " for a tensor of rank ",
                                noise.rank()));
  }
  DROPOUTD_ASSIGN_OR_RETURN(
      const int channel,
      ResolveChannelAxis("drop_block.channel_axis", options.channel_axis, noise.rank()));
  layout.places = 1;
  std::int64_t stride = 1;
  std::size_t i = axes;
  for (int axis = noise.rank() - 1; axis > 0; --axis) {
    const std::int64_t size = noise[axis];
    if (axis == channel) {
      layout.channels = size;
      layout.channel_stride = stride;
    } else {
      --i;
      layout.sizes[i] = size;
      const std::int64_t block = options.block_size[options.block_size.size() == 1 ? 0 : i];
      layout.blocks[i] = std::clamp<std::int64_t>(size, 1, block);
      layout.strides[i] = stride;
      layout.places *= std::max<std::int64_t>(size - layout.blocks[i] + 1, 0);
    }
    stride *= size;
  }
  layout.samples = noise[0];
  layout.sample_stride = stride;
  layout.normalization = options.normalization;
  if (noise.ElementCount() == 0) return layout;
  if (options.gamma == DropBlockOptions::Gamma::kExact && TooManyOverlaps(layout)) {
    return Invalid(absl::StrCat("drop_block.gamma: EXACT for a tensor of shape ", noise.ToString(),
                                " has over ", kMaxOverlaps,
                                " ways in which blocks overlap, must be PAPER"));
  }
  layout.gamma =
      CachedSeedRate(p, {layout.sizes.data(), axes}, {layout.blocks.data(), axes}, options.gamma);
  return layout;
}

PackedBits DrawBlocks(const BlockLayout& layout, const kernels::BernoulliStream& seeds,
                      std::uint64_t first_index) {
  PackedBits bits =
      PackedBits::AllKept(static_cast<std::size_t>(layout.samples * layout.sample_stride));
  const bool spread = AreBlocksMany(layout);
  BlockLayout drops = layout;
  if (spread) drops.blocks.fill(1);
  const std::size_t volume = VolumeOf(drops);
  WorkMeter meter;
  ForEachSeed(layout, seeds, first_index, [&](std::int64_t map, std::int64_t place) {
    meter.Add(volume);
    const std::int64_t base = map / layout.channels * layout.sample_stride +
                              map % layout.channels * layout.channel_stride;
    DropBlockAt(drops, base, CornerOf(layout, place), bits.data());
  });
  if (spread) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(layout.spatial_axes); ++i) {
      Spread(layout.sizes[i], layout.strides[i], layout.blocks[i], bits);
    }
  }
  return bits;
}

std::vector<double> BlockScales(const BlockLayout& layout, const PackedBits& bits) {
  if (layout.normalization == DropBlockOptions::Normalization::kBatch) {
    return {ScaleOf(bits.count(), bits.CountKept(0, bits.count()))};
  }
  const auto sample_size = static_cast<std::size_t>(layout.sample_stride);
  std::vector<double> scales;
  for (std::size_t at = 0; at < bits.count(); at += sample_size) {
    scales.push_back(ScaleOf(sample_size, bits.CountKept(at, sample_size)));
  }
  return scales;
}

}  // namespace dropoutd
