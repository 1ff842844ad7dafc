#include "server/service/convert_step.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/checked_math.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/convert.h"

namespace dropoutd {
namespace {

absl::Status RegionBroken(const SharedRegion& region) {
  return MakeError(Reason::kRegionBroken,
                   absl::StrCat("region_id: the file of region ", region.region_id(),
                                " was cut short while in use; delete the region and make another"));
}

}  // namespace

const char* TensorFieldOf(StepKind kind) {
  return kind == StepKind::kForward ? "input" : "output_gradient";
}

StepRef StepOf(const StepMessage& message) {
  StepRef at;
  at.session_id = message.session_id;
  at.layer_id = message.layer_id;
  at.step = message.step;
  at.sample_offset = message.sample_offset;
  at.sequence_id = message.sequence_id;
  return at;
}

absl::StatusOr<TensorSpec> SpecOf(const TensorMessage& tensor, const char* field) {
  TensorSpec spec;
  DROPOUTD_ASSIGN_OR_RETURN(spec.dtype, ConvertDataType(tensor.dtype, field));
  if (tensor.rank > Shape::kMaxRank) return Shape::RankError(tensor.rank);
  DROPOUTD_ASSIGN_OR_RETURN(spec.shape, Shape::Make({tensor.sizes.data(), tensor.rank}));
  const auto byte_size = CheckedMultiply(spec.shape.ElementCount(), ElementSize(spec.dtype));
  if (!byte_size.has_value()) {
    return MakeError(Reason::kInvalidTensor,
                     absl::StrCat(field, ": shape ", spec.shape.ToString(), " of ",
                                  spec.element_size(), "-byte elements needs over 2^63 bytes"));
  }
  spec.byte_size = static_cast<std::size_t>(*byte_size);
  return spec;
}

absl::Status CheckDataSize(const TensorSpec& spec, std::size_t data_size, const char* field) {
  if (data_size == spec.byte_size) return absl::OkStatus();
  return MakeError(
      Reason::kInvalidTensor,
      absl::StrCat(field, ".data: ", data_size, " bytes, shape ", spec.shape.ToString(), " of ",
                   spec.element_size(), "-byte elements needs ", spec.byte_size));
}

absl::StatusOr<Place> FindPlace(Engine& engine, std::string_view session_id,
                                const PlaceMessage& message, std::size_t byte_size,
                                const char* field) {
  Place place;
  DROPOUTD_ASSIGN_OR_RETURN(place.region, engine.FindSharedMemory(session_id, message.region_id));
  const std::int64_t region_size = place.region->byte_size();
  const std::int64_t offset = message.offset;
  if (offset < 0 || offset > region_size ||
      byte_size > static_cast<std::size_t>(region_size - offset)) {
    return MakeError(Reason::kInvalidTensor,
                     absl::StrCat(field, ".offset: ", offset, ", a tensor of ", byte_size,
                                  " bytes must begin and end within the region's ", region_size));
  }
  if (!place.region->IsWhole()) return RegionBroken(*place.region);
  place.data = place.region->data() + offset;
  return place;
}

absl::Status CheckUnbroken(const Place& place) {
  return place.region->broken() ? RegionBroken(*place.region) : absl::OkStatus();
}

}  // namespace dropoutd
