// Bernoulli bits a tile at a time, with other work between. Compiled once for each instruction
// set.
#if defined(DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_INL_H_
#undef DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_INL_H_
#else
#define DROPOUTD_SERVER_KERNELS_BERNOULLI_BITS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "server/kernels/bernoulli_bits.h"
#include "server/kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dropoutd::kernels::HWY_NAMESPACE {

constexpr std::size_t kBlock = 16;  // Elements of one Philox block.
// Vectors of blocks computed together: as many as the registers hold, because a round waits for
// its multiplications.
constexpr std::size_t kGroups = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
constexpr std::size_t kTile = 8192;  // Elements between two looks at ties.

using D8 = hn::Repartition<std::uint8_t, D64>;

constexpr std::size_t kMaxVectors = kGroups * HWY_MAX_BYTES / 8;  // Lanes of kGroups vectors.
constexpr std::size_t kMaxUnit = kBlock * kMaxVectors;
static_assert(kTile % kMaxUnit == 0);

// One tile's bits, with room for a unit that runs past it and for whole-vector loads.
struct TileBits {
  HWY_ALIGN std::uint8_t kept[(kTile + kMaxUnit) / 8 + HWY_MAX_BYTES];
  HWY_ALIGN std::uint8_t tied[(kTile + kMaxUnit) / 8 + HWY_MAX_BYTES];
};

// Compares a vector of random bytes with the threshold's top byte. Ties count as kept
// until they are looked at.
HWY_INLINE void StoreBits(hn::Vec<D8> bytes, hn::Vec<D8> top, std::uint8_t* kept,
                          std::uint8_t* tied) {
  const D8 d8;
  hn::StoreMaskBits(d8, hn::Eq(hn::Max(bytes, top), bytes), kept);
  hn::StoreMaskBits(d8, hn::Eq(bytes, top), tied);
}

// Elements whose bits are computed together.
HWY_INLINE std::size_t Unit() { return kBlock * kGroups * hn::Lanes(D64()); }

// Fills `tile` with the bits of `units` units from block `block` on.
template <class Between>
HWY_INLINE void FillTile(const RoundKeys& keys, const BernoulliStream& stream, std::uint64_t block,
                         std::size_t units, TileBits& tile, Between between) {
  const D64 d;
  const D8 d8;
  const std::size_t lanes = hn::Lanes(d);
  const auto top = hn::Set(d8, static_cast<std::uint8_t>(stream.threshold >> 56));
  const V64 lane_blocks = LaneBlocks();
  for (std::size_t u = 0; u < units; ++u) {
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
    between(u);
  }
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

// Where the bits of elements go, numbered from 0: to `kept`, or where that is null into a ring that
// remembers the last two tiles.
struct BitsPlace {
  static constexpr std::size_t kRingTiles = 2;

  std::uint8_t* kept;
  std::uint8_t* ring;  // kRingTiles * kTile / 8 bytes.

  HWY_INLINE std::uint8_t* At(std::size_t element) const {
    return kept != nullptr ? kept + element / 8 : ring + element % (kRingTiles * kTile) / 8;
  }
};

// The tied elements of a tile, with room for vectors that run past them.
struct Ties {
  HWY_ALIGN std::uint64_t element[kTile + kMaxVectors];
  std::size_t count = 0;
};

// Draws the further bits of the ties, drops those below the rest of the threshold, and forgets the
// ties. `first`: the index of element 0.
HWY_INLINE void DropTies(const RoundKeys& keys, const BernoulliStream& stream, std::uint64_t first,
                         Ties& ties, const BitsPlace& place) {
  const D64 d;
  const std::size_t lanes = hn::Lanes(d);
  const V64 first_index = hn::Set(d, first);
  const V64 rest = hn::Set(d, stream.threshold << 8);
  HWY_ALIGN std::uint64_t dropped[kMaxVectors];
  // Whole vectors: what is past the last tie is drawn and not looked at.
  for (std::size_t g = 0; g < kGroups; ++g) {
    hn::StoreU(hn::Zero(d), d, ties.element + ties.count + g * lanes);
  }
  for (std::size_t i = 0; i < ties.count; i += kGroups * lanes) {
    V64 index[kGroups], w01[kGroups], w23[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      index[g] = hn::Add(first_index, hn::Load(d, ties.element + i + g * lanes));
    }
    Philox(keys, index, stream.counter2, kDomainTies, w01, w23);
    for (std::size_t g = 0; g < kGroups; ++g) {
      hn::Store(hn::ShiftRight<63>(hn::VecFromMask(d, hn::Lt(w01[g], rest))), d,
                dropped + g * lanes);
    }
    const std::size_t n = std::min(kGroups * lanes, ties.count - i);
    for (std::size_t j = 0; j < n; ++j) {
      const std::uint64_t element = ties.element[i + j];
      std::uint8_t* const byte = place.At(element);
      *byte = static_cast<std::uint8_t>(*byte & ~(dropped[j] << (element % 8)));
    }
  }
  ties.count = 0;
}

// The ties of a word of 64 elements from `at` on. One is sure, a second is taken be it there or
// not, because no branch predictor learns what is chance; more are rare.
HWY_INLINE void AddTies(std::uint64_t word, std::uint64_t at, Ties& ties) {
  constexpr std::uint64_t kEnd = std::uint64_t{1} << 63;
  const std::size_t count = hwy::PopCount(word);
  std::uint64_t* const to = ties.element + ties.count;
  to[0] = at + hwy::Num0BitsBelowLS1Bit_Nonzero64(word);
  word &= word - 1;
  to[1] = at + hwy::Num0BitsBelowLS1Bit_Nonzero64(word | kEnd);
  for (std::size_t i = 2; i < count; ++i) {
    word &= word - 1;
    to[i] = at + hwy::Num0BitsBelowLS1Bit_Nonzero64(word);
  }
  ties.count += count;
}

// Adds the ties of a tile, whose bit `begin` is that of element `done` and whose bit `end` is past
// its last.
HWY_INLINE void CollectTies(TileBits& tile, std::size_t begin, std::size_t end, std::size_t done,
                            Ties& ties) {
  const D64 d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t words = (end + 63) / 64;
  const auto clear = [&](std::size_t w, std::uint64_t keep) {
    std::uint64_t word;
    std::memcpy(&word, tile.tied + w * 8, sizeof(word));
    word &= keep;
    std::memcpy(tile.tied + w * 8, &word, sizeof(word));
  };
  clear(0, ~std::uint64_t{0} << begin);
  if (end % 64 != 0) clear(words - 1, (std::uint64_t{1} << end % 64) - 1);
  const auto* const tied = reinterpret_cast<const std::uint64_t*>(tile.tied);
  for (std::size_t from = 0; from < words; from += 64) {
    const std::size_t to = std::min(words, from + 64);
    std::uint64_t with_ties = 0;
    for (std::size_t w = from; w < to; w += lanes) {
      std::uint8_t bits[8] = {};
      hn::StoreMaskBits(d, hn::Ne(hn::Load(d, tied + w), hn::Zero(d)), bits);
      with_ties |= std::uint64_t{bits[0]} << (w - from);
    }
    if (to - from < 64) with_ties &= (std::uint64_t{1} << (to - from)) - 1;
    for (; with_ties != 0; with_ties &= with_ties - 1) {
      const std::size_t w = from + hwy::Num0BitsBelowLS1Bit_Nonzero64(with_ties);
      std::uint64_t word;
      std::memcpy(&word, tile.tied + w * 8, sizeof(word));
      AddTies(word, done + w * 64 - begin, ties);
    }
  }
}

// Computes the bits of `count` elements, of indices from `first` on, and puts them into `place`.
// Calls ready(end) as soon as the bits of the elements before `end` are whole, and between(i,
// steps) for i = 0 .. steps - 1 in each tile, to use what the processor has left over. What is
// ready must have been used by the next call of ready.
template <class Ready, class Between>
HWY_INLINE void ForEachTile(const BernoulliStream& stream, std::uint64_t first, std::size_t count,
                            const BitsPlace& place, Ready ready, Between between) {
  const RoundKeys keys = MakeRoundKeys(stream.key);
  const std::size_t shift = first % kBlock;
  const bool has_ties = (stream.threshold << 8) != 0;
  TileBits work;
  Ties ties;
  for (std::size_t done = 0; done < count; done += kTile) {
    const std::size_t n = std::min(kTile, count - done);
    const std::size_t units = (shift + n + Unit() - 1) / Unit();
    const std::size_t steps = units + (has_ties ? 2 : 0);
    FillTile(keys, stream, (first + done - shift) / kBlock, units, work,
             [&](std::size_t step) HWY_ATTR { between(step, steps); });
    CopyBits(work.kept, shift, n, place.At(done));
    if (has_ties) {
      CollectTies(work, shift, shift + n, done, ties);
      between(units, steps);
      DropTies(keys, stream, first, ties, place);
      between(units + 1, steps);
    }
    ready(done + n);
  }
}

}  // namespace dropoutd::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard, toggled for each target
