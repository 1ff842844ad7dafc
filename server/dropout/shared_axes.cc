#include "server/dropout/shared_axes.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

using Result = absl::StatusOr<SharedAxes>;

constexpr unsigned Bit(int axis) { return 1u << axis; }
constexpr unsigned AllAxes(int rank) { return (1u << rank) - 1; }

Result Named(const char* field, const std::vector<std::int32_t>& axes, int rank) {
  SharedAxes shared;
  for (const std::int32_t axis : axes) {
    DROPOUTD_ASSIGN_OR_RETURN(const int resolved, ResolveAxis(field, axis, rank));
    if ((shared.bits & Bit(resolved)) != 0) {
      return MakeError(Reason::kInvalidLayer,
                       absl::StrCat(field, ": ", axis, " is an axis named before, for a tensor of ",
                                    "rank ", rank));
    }
    shared.bits |= Bit(resolved);
  }
  return shared;
}

// One draw a (sample, channel).
Result Channels(const char* field, std::int32_t channel_axis, int rank) {
  DROPOUTD_ASSIGN_OR_RETURN(const int channel, ResolveChannelAxis(field, channel_axis, rank));
  return SharedAxes{AllAxes(rank) & ~Bit(0) & ~Bit(channel), 0};
}

Result Of(const DropoutOptions& options, int rank) {
  return Named("dropout.broadcast_axes", options.broadcast_axes, rank);
}

Result Of(const GaussianOptions& options, int rank) {
  return Named("gaussian.broadcast_axes", options.broadcast_axes, rank);
}

Result Of(const AlphaOptions&, int) { return SharedAxes{}; }

Result Of(const FeatureAlphaOptions& options, int rank) {
  return Channels("feature_alpha.channel_axis", options.channel_axis, rank);
}

Result Of(const SpatialOptions& options, int rank) {
  return Channels("spatial.channel_axis", options.channel_axis, rank);
}

Result Of(const DropBlockOptions& options, int rank) {
  DROPOUTD_ASSIGN_OR_RETURN(
      const int channel, ResolveChannelAxis("drop_block.channel_axis", options.channel_axis, rank));
  return SharedAxes{options.share_channels ? Bit(channel) : 0, 0};
}

Result Of(const ConcreteOptions& options, int rank) {
  constexpr std::int32_t kChannelAxis = 1;
  return options.spatial ? Channels("concrete.spatial", kChannelAxis, rank) : SharedAxes{};
}

// Of the weights as they come in (WEIGHTS): there are no samples.
Result Of(const DropConnectOptions&, int) { return SharedAxes{0, -1}; }

Result Of(const VariationalOptions& options, int rank) {
  if (!options.time_axis.has_value()) return SharedAxes{};
  DROPOUTD_ASSIGN_OR_RETURN(const int time,
                            ResolveAxis("variational.time_axis", *options.time_axis, rank));
  if (time != 0) return SharedAxes{Bit(time), 0};
  if (rank >= 2) return SharedAxes{Bit(0), 1};
  return MakeError(Reason::kInvalidLayer,
                   absl::StrCat("variational.time_axis: ", *options.time_axis,
                                " leaves no batch axis in a tensor of rank ", rank));
}

Result Of(const RecurrentOptions&, int) { return SharedAxes{}; }

Result Of(const StochasticDepthOptions& options, int rank) {
  const bool by_row = options.mode == StochasticDepthOptions::DepthMode::kRow;
  if (by_row) return SharedAxes{AllAxes(rank) & ~Bit(0), 0};
  return SharedAxes{AllAxes(rank), -1};
}

}  // namespace

absl::StatusOr<int> ResolveAxis(const char* field, std::int32_t axis, int rank) {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  return MakeError(Reason::kInvalidLayer,
                   rank == 0
                       ? absl::StrCat(field, ": ", axis, ", but a tensor of rank 0 has no axes")
                       : absl::StrCat(field, ": ", axis, ", must be in [", -rank, ", ", rank - 1,
                                      "] for a tensor of rank ", rank));
}

absl::StatusOr<int> ResolveChannelAxis(const char* field, std::int32_t axis, int rank) {
  DROPOUTD_ASSIGN_OR_RETURN(const int channel, ResolveAxis(field, axis, rank));
  if (channel != 0) return channel;
  return MakeError(
      Reason::kInvalidLayer,
      absl::StrCat(field, ": ", axis, " is the batch axis of a tensor of rank ", rank));
}

absl::StatusOr<SharedAxes> SharedAxesOf(const VariantOptions& options, int rank) {
  return std::visit([&](const auto& variant) { return Of(variant, rank); }, options);
}

}  // namespace dropoutd
