#include "server/kernels/bernoulli_bits.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "server/kernels/bernoulli_bits.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "server/kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

constexpr std::size_t kBlock = 16;   // Elements of one Philox block.
constexpr std::size_t kGroups = 2;   // Vectors of blocks computed together.
constexpr std::size_t kTile = 4096;  // Elements between two looks at ties.
constexpr std::size_t kCacheLine = 64;

using D8 = hn::Repartition<std::uint8_t, D64>;

constexpr std::size_t kMaxUnit = kBlock * kGroups * HWY_MAX_BYTES / 8;
static_assert(kTile % kMaxUnit == 0);

// One tile's bits, with room for a unit that runs past it and for whole-word loads.
struct TileBits {
  HWY_ALIGN std::uint8_t kept[(kTile + kMaxUnit) / 8 + 8];
  HWY_ALIGN std::uint8_t tied[(kTile + kMaxUnit) / 8 + 8];
};

// Compares a vector of random bytes with the threshold's top byte. Ties count as kept
// until they are looked at.
HWY_INLINE void StoreBits(hn::Vec<D8> bytes, hn::Vec<D8> top, std::uint8_t* kept,
                          std::uint8_t* tied) {
  const D8 d8;
  hn::StoreMaskBits(d8, hn::Eq(hn::Max(bytes, top), bytes), kept);
  hn::StoreMaskBits(d8, hn::Eq(bytes, top), tied);
}

// Fills `tile` with the bits of `count` elements (rounded up to whole units) from block
// `block` on, and spreads the prefetch of `upcoming` over the work.
HWY_INLINE void FillTile(const RoundKeys& keys, const BernoulliStream& stream, std::uint64_t block,
                         std::size_t count, const std::uint8_t* upcoming, std::size_t upcoming_size,
                         TileBits& tile) {
  const D64 d;
  const D8 d8;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t unit = kBlock * kGroups * lanes;
  const std::size_t units = (count + unit - 1) / unit;
  const std::size_t bytes_a_unit =
      units == 0 ? 0 : hwy::RoundUpTo((upcoming_size + units - 1) / units, kCacheLine);
  const auto top = hn::Set(d8, static_cast<std::uint8_t>(stream.threshold >> 56));
  const V64 lane_blocks = LaneBlocks();
  std::size_t fetched = 0;
  for (std::size_t u = 0; u < units; ++u) {
    for (const std::size_t end = std::min(upcoming_size, fetched + bytes_a_unit); fetched < end;
         fetched += kCacheLine) {
      hwy::Prefetch(upcoming + fetched);
    }
    V64 index[kGroups];
    V64 w01[kGroups], w23[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      index[g] = hn::Add(lane_blocks, hn::Set(d, block + (u * kGroups + g) * lanes));
    }
    Philox(keys, index, stream.counter2, kDomainBytes, w01, w23);
    for (std::size_t g = 0; g < kGroups; ++g) {
      const std::size_t at = (u * kGroups + g) * lanes * kBlock / 8;
      const auto low = hn::InterleaveLower(d, w01[g], w23[g]);
      const auto high = hn::InterleaveUpper(d, w01[g], w23[g]);
      StoreBits(hn::BitCast(d8, low), top, tile.kept + at, tile.tied + at);
      StoreBits(hn::BitCast(d8, high), top, tile.kept + at + lanes, tile.tied + at + lanes);
    }
  }
}

// Draws the further bits of the tied elements `ties` (positions in the tile, whose first
// element has index `first`) and drops those below the rest of the threshold.
HWY_INLINE void DropTies(const RoundKeys& keys, const BernoulliStream& stream, std::uint64_t first,
                         const std::uint32_t* ties, std::size_t count, std::uint8_t* kept) {
  const D64 d;
  const std::size_t lanes = hn::Lanes(d);
  const std::uint64_t rest = stream.threshold << 8;
  HWY_ALIGN std::uint64_t lane[hn::MaxLanes(d)] = {};
  for (std::size_t i = 0; i < count; i += lanes) {
    const std::size_t n = std::min(lanes, count - i);
    for (std::size_t j = 0; j < n; ++j) lane[j] = first + ties[i + j];
    const V64 index[1] = {hn::Load(d, lane)};
    V64 w01[1], w23[1];
    Philox(keys, index, stream.counter2, kDomainTies, w01, w23);
    hn::Store(w01[0], d, lane);
    for (std::size_t j = 0; j < n; ++j) {
      const std::uint32_t at = ties[i + j];
      const unsigned dropped = lane[j] < rest ? 1 : 0;
      kept[at / 8] = static_cast<std::uint8_t>(kept[at / 8] & ~(dropped << (at % 8)));
    }
  }
}

HWY_INLINE void ResolveTies(const RoundKeys& keys, const BernoulliStream& stream,
                            std::uint64_t first, std::size_t count, TileBits& tile) {
  constexpr std::size_t kBatch = 64;
  std::uint32_t ties[kBatch + 64];
  std::size_t n = 0;
  for (std::size_t word_at = 0; word_at * 64 < count; ++word_at) {
    std::uint64_t word;
    std::memcpy(&word, tile.tied + word_at * 8, sizeof(word));
    const std::size_t left = count - word_at * 64;
    if (left < 64) word &= (std::uint64_t{1} << left) - 1;
    for (; word != 0; word &= word - 1) {
      ties[n++] =
          static_cast<std::uint32_t>(word_at * 64 + hwy::Num0BitsBelowLS1Bit_Nonzero64(word));
    }
    if (n >= kBatch) {
      DropTies(keys, stream, first, ties, n, tile.kept);
      n = 0;
    }
  }
  DropTies(keys, stream, first, ties, n, tile.kept);
}

// Copies `count` bits that start `shift` (0 to 15) bits into `from`, which is readable
// for 8 bytes past them, and clears the last byte's unused bits.
HWY_INLINE void CopyBits(const std::uint8_t* from, std::size_t shift, std::size_t count,
                         std::uint8_t* to) {
  const std::size_t bytes = (count + 7) / 8;
  if (shift == 0) {
    std::memcpy(to, from, bytes);
  } else {
    for (std::size_t i = 0; i < bytes; ++i) {
      std::uint32_t word;
      std::memcpy(&word, from + i, sizeof(word));
      to[i] = static_cast<std::uint8_t>(word >> shift);
    }
  }
  if (count % 8 != 0) to[bytes - 1] &= static_cast<std::uint8_t>((1u << (count % 8)) - 1);
}

void BernoulliBits(const BernoulliStream& stream, std::uint64_t first, std::size_t count,
                   std::uint8_t* bits, Upcoming upcoming) {
  const RoundKeys keys = MakeRoundKeys(stream.key);
  const std::size_t shift = first % kBlock;
  const bool has_ties = (stream.threshold << 8) != 0;
  const auto* next = static_cast<const std::uint8_t*>(upcoming.data);
  std::size_t next_size = upcoming.byte_size;
  TileBits tile;
  for (std::size_t done = 0; done < count; done += kTile) {
    const std::size_t n = std::min(kTile, count - done);
    const std::size_t share = done + n == count ? next_size : next_size * n / (count - done);
    const std::uint64_t start = first + done - shift;
    FillTile(keys, stream, start / kBlock, shift + n, next, share, tile);
    if (has_ties) ResolveTies(keys, stream, start, shift + n, tile);
    CopyBits(tile.kept, shift, n, bits + done / 8);
    if (share != 0) next += share;
    next_size -= share;
  }
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dropoutd::kernels {

HWY_EXPORT(BernoulliBits);

void BernoulliBits(const BernoulliStream& stream, std::uint64_t first, std::size_t count,
                   std::uint8_t* bits, Upcoming upcoming) {
  HWY_DYNAMIC_DISPATCH(BernoulliBits)(stream, first, count, bits, upcoming);
}

}  // namespace dropoutd::kernels
#endif
