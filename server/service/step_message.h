// Hand-written parsers of the messages that carry tensors. They accept and refuse what
// the generated ones do and find the same values, but leave the tensor's bytes in the
// slices they came in.
#ifndef DROPOUTD_SERVER_SERVICE_STEP_MESSAGE_H_
#define DROPOUTD_SERVER_SERVICE_STEP_MESSAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "server/service/fragments.h"

namespace dropoutd {

// SharedMemoryRef.
struct PlaceMessage {
  std::string region_id;
  std::int64_t offset = 0;
};

// Tensor.
struct TensorMessage {
  // How many sizes are kept: one more than any shape may have.
  static constexpr std::size_t kKeptSizes = 9;

  std::int32_t dtype = 0;
  std::size_t rank = 0;  // Also where it is more than what is kept of `sizes`.
  std::array<std::int64_t, kKeptSizes> sizes{};
  std::variant<std::monostate, ByteRange, PlaceMessage> storage;
};

enum class StepKind { kForward, kBackward };

// ForwardRequest or BackwardRequest, which number their fields alike.
struct StepMessage {
  std::string session_id;
  std::string layer_id;
  std::optional<std::uint64_t> step;
  std::optional<TensorMessage> tensor;  // input or output_gradient.
  std::int64_t sample_offset = 0;
  std::optional<std::uint64_t> sequence_id;
  bool option = false;  // return_mask or release.
  std::optional<PlaceMessage> output;
  std::optional<double> weight_squared_norm;  // kBackward only.
};

// ExchangeRequest. At most one of the three alternatives is there.
struct ExchangeMessage {
  struct Step {
    StepKind kind = StepKind::kForward;
    StepMessage message;
  };

  std::variant<std::monostate, Step, ByteRange> message;
  bool has_more = false;
  std::uint64_t operation = 0;
};

// Fill `message`, which was just made, from `bytes`; it refers to the fragments from then
// on. False if they do not parse.
bool ParseStep(StepKind kind, Fragments bytes, StepMessage& message);
bool ParseExchange(Fragments bytes, ExchangeMessage& message);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_STEP_MESSAGE_H_
