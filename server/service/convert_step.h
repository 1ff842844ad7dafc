// From the requests that carry tensors to the engine's types.
#ifndef DROPOUTD_SERVER_SERVICE_CONVERT_STEP_H_
#define DROPOUTD_SERVER_SERVICE_CONVERT_STEP_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "server/dropout/data_type.h"
#include "server/dropout/shape.h"
#include "server/engine/engine.h"
#include "server/memory/shared_memory.h"
#include "server/service/step_message.h"

namespace dropoutd {

// A tensor's type and shape.
struct TensorSpec {
  DataType dtype = DataType::kFloat32;
  Shape shape;
  std::size_t byte_size = 0;

  std::size_t element_count() const { return static_cast<std::size_t>(shape.ElementCount()); }
  std::size_t element_size() const { return static_cast<std::size_t>(ElementSize(dtype)); }
};

// Bytes in a region, which is kept until the place ends.
struct Place {
  SharedRegionRef region;
  std::byte* data = nullptr;
};

// Name of the request's tensor field, for messages.
const char* TensorFieldOf(StepKind kind);

// Refers to the message.
StepRef StepOf(const StepMessage& message);

// Type and shape of a tensor. INVALID_TENSOR, naming `field`.
absl::StatusOr<TensorSpec> SpecOf(const TensorMessage& tensor, const char* field);

// INVALID_TENSOR unless a message has all the bytes of its tensor.
absl::Status CheckDataSize(const TensorSpec& spec, std::size_t data_size, const char* field);

// `byte_size` bytes at a place of the session's. INVALID_TENSOR, REGION_NOT_FOUND,
// REGION_BROKEN.
absl::StatusOr<Place> FindPlace(Engine& engine, std::string_view session_id,
                                const PlaceMessage& message, std::size_t byte_size,
                                const char* field);

// REGION_BROKEN if bytes of the place's region have gone.
absl::Status CheckUnbroken(const Place& place);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_CONVERT_STEP_H_
