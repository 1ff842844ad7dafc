#include "server/dropout/noise_layout.h"

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

// Indices go from 0 to 2^63 - 1.
__extension__ using Index = unsigned __int128;
constexpr Index kMaxIndices = Index{1} << 63;

// Draws of one sample: the sizes of the axes behind the sample's. Those before it are shared.
std::int64_t SampleSize(const Shape& noise, int sample_axis) {
  std::int64_t size = 1;
  for (int axis = sample_axis + 1; axis < noise.rank(); ++axis) size *= noise[axis];
  return size;
}

absl::Status CheckNotNegative(std::int64_t sample_offset) {
  if (sample_offset >= 0) return absl::OkStatus();
  return MakeError(Reason::kInvalidTensor,
                   absl::StrCat("sample_offset: ", sample_offset, ", must be 0 or more"));
}

}  // namespace

absl::StatusOr<std::uint64_t> FirstIndex(std::int64_t sample_offset, std::int64_t samples,
                                         std::int64_t sample_size) {
  DROPOUTD_RETURN_IF_ERROR(CheckNotNegative(sample_offset));
  const Index end = (static_cast<Index>(sample_offset) + static_cast<Index>(samples)) *
                    static_cast<Index>(sample_size);
  if (samples != 0 && end > kMaxIndices) {
    return MakeError(
        Reason::kInvalidTensor,
        absl::StrCat("sample_offset: ", sample_offset, " with ", samples, " samples of ",
                     sample_size, " draws passes noise index 2^63 - 1"));
  }
  return static_cast<std::uint64_t>(sample_offset) * static_cast<std::uint64_t>(sample_size);
}

absl::StatusOr<NoiseLayout> MakeNoiseLayout(const Shape& tensor, const SharedAxes& shared,
                                            std::int64_t sample_offset) {
  DROPOUTD_RETURN_IF_ERROR(CheckNotNegative(sample_offset));
  NoiseLayout layout{tensor, tensor.WithOnes(shared.bits), 0};
  const int axis = shared.sample_axis;
  // Every sample has the same noise, or there are none.
  if (axis < 0 || (shared.bits >> axis & 1) != 0) return layout;
  const std::int64_t samples = tensor.rank() == 0 ? 1 : tensor[axis];
  DROPOUTD_ASSIGN_OR_RETURN(layout.first_index,
                            FirstIndex(sample_offset, samples, SampleSize(layout.noise, axis)));
  return layout;
}

}  // namespace dropoutd
