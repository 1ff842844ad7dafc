#include "server/dropout/noise_layout.h"

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

absl::StatusOr<unsigned> AxisBits(int rank, std::span<const std::int32_t> axes) {
  unsigned bits = 0;
  for (const std::int32_t axis : axes) {
    if (axis < -rank || axis >= rank) {
      return MakeError(
          Reason::kInvalidLayer,
          rank == 0 ? absl::StrCat("broadcast_axes: ", axis, ", but a tensor of rank 0 has no axes")
                    : absl::StrCat("broadcast_axes: ", axis, ", must be in [", -rank, ", ",
                                   rank - 1, "] for a tensor of rank ", rank));
    }
    const unsigned bit = 1u << (axis < 0 ? axis + rank : axis);
    if ((bits & bit) != 0) {
      return MakeError(Reason::kInvalidLayer, absl::StrCat("broadcast_axes: ", axis,
                                                           " is an axis named before, for a "
                                                           "tensor of rank ",
                                                           rank));
    }
    bits |= bit;
  }
  return bits;
}

// Draws of one sample: the noise's size but axis 0's.
std::int64_t SampleSize(const Shape& noise) {
  std::int64_t size = 1;
  for (int axis = 1; axis < noise.rank(); ++axis) size *= noise[axis];
  return size;
}

// Indices go from 0 to 2^63 - 1.
__extension__ using Index = unsigned __int128;
constexpr Index kMaxIndices = Index{1} << 63;

// One more than the last noise index.
Index EndIndex(std::int64_t sample_offset, std::int64_t samples, std::int64_t sample_size) {
  return (static_cast<Index>(sample_offset) + static_cast<Index>(samples)) *
         static_cast<Index>(sample_size);
}

}  // namespace

absl::StatusOr<NoiseLayout> MakeNoiseLayout(const Shape& tensor,
                                            std::span<const std::int32_t> shared_axes,
                                            std::int64_t sample_offset) {
  if (sample_offset < 0) {
    return MakeError(Reason::kInvalidTensor,
                     absl::StrCat("sample_offset: ", sample_offset, ", must be 0 or more"));
  }
  DROPOUTD_ASSIGN_OR_RETURN(const unsigned shared, AxisBits(tensor.rank(), shared_axes));
  NoiseLayout layout{tensor, tensor.WithOnes(shared), 0};
  if ((shared & 1) != 0) return layout;  // Every sample has the same noise.
  const std::int64_t samples = tensor.rank() == 0 ? 1 : tensor[0];
  const std::int64_t sample_size = SampleSize(layout.noise);
  if (samples != 0 && EndIndex(sample_offset, samples, sample_size) > kMaxIndices) {
    return MakeError(Reason::kInvalidTensor,
                     absl::StrCat("sample_offset: ", sample_offset, " with shape ",
                                  tensor.ToString(), " passes noise index 2^63 - 1"));
  }
  layout.first_index =
      static_cast<std::uint64_t>(sample_offset) * static_cast<std::uint64_t>(sample_size);
  return layout;
}

}  // namespace dropoutd
