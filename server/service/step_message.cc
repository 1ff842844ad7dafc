#include "server/service/step_message.h"

#include "server/service/wire_reader.h"

namespace dropoutd {
namespace {

// The value that `field` holds, made if it holds none: a message field that comes again
// is merged.
template <typename T>
T& Held(std::optional<T>& field) {
  return field.has_value() ? *field : field.emplace();
}

template <typename T, typename Variant>
T& Held(Variant& field) {
  T* const held = std::get_if<T>(&field);
  return held != nullptr ? *held : field.template emplace<T>();
}

// Sets a field of any integral type from a varint, as protobuf narrows it.
template <typename T>
bool ReadInteger(WireReader& reader, T& field) {
  std::uint64_t value = 0;
  if (!reader.ReadVarint(value)) return false;
  field = static_cast<T>(value);
  return true;
}

bool ReadInteger(WireReader& reader, std::optional<std::uint64_t>& field) {
  return ReadInteger(reader, field.emplace());
}

bool ReadPlace(WireReader& reader, PlaceMessage& place) {
  return reader.ReadMessage([&](std::uint32_t tag) {
    switch (tag) {
      case WireTag(1, kLengthDelimited):
        return reader.ReadString(place.region_id);
      case WireTag(2, kVarint):
        return ReadInteger(reader, place.offset);
      default:
        return reader.Skip(tag);
    }
  });
}

void AddSize(TensorMessage& tensor, std::uint64_t size) {
  if (tensor.rank < TensorMessage::kKeptSizes) {
    tensor.sizes[tensor.rank] = static_cast<std::int64_t>(size);
  }
  ++tensor.rank;
}

bool ReadTensor(WireReader& reader, TensorMessage& tensor) {
  return reader.ReadMessage([&](std::uint32_t tag) {
    switch (tag) {
      case WireTag(1, kVarint):
        return ReadInteger(reader, tensor.dtype);
      case WireTag(2, kLengthDelimited):
        return reader.ReadPackedVarints([&](std::uint64_t size) { AddSize(tensor, size); });
      case WireTag(2, kVarint): {
        std::uint64_t size = 0;
        if (!reader.ReadVarint(size)) return false;
        AddSize(tensor, size);
        return true;
      }
      case WireTag(3, kLengthDelimited):
        return reader.ReadBytes(tensor.storage.emplace<ByteRange>());
      case WireTag(4, kLengthDelimited):
        return ReadPlace(reader, Held<PlaceMessage>(tensor.storage));
      default:
        return reader.Skip(tag);
    }
  });
}

bool ReadStepField(WireReader& reader, StepKind kind, std::uint32_t tag, StepMessage& message) {
  switch (tag) {
    case WireTag(1, kLengthDelimited):
      return reader.ReadString(message.session_id);
    case WireTag(2, kLengthDelimited):
      return reader.ReadString(message.layer_id);
    case WireTag(3, kVarint):
      return ReadInteger(reader, message.step);
    case WireTag(4, kLengthDelimited):
      return ReadTensor(reader, Held(message.tensor));
    case WireTag(5, kVarint):
      return ReadInteger(reader, message.sample_offset);
    case WireTag(6, kVarint):
      return ReadInteger(reader, message.sequence_id);
    case WireTag(7, kVarint):
      return ReadInteger(reader, message.option);
    case WireTag(8, kLengthDelimited):
      return ReadPlace(reader, Held(message.output));
    case WireTag(9, kFixed64):
      if (kind == StepKind::kForward) return reader.Skip(tag);
      return reader.ReadDouble(message.weight_squared_norm.emplace());
    default:
      return reader.Skip(tag);
  }
}

bool ReadStep(WireReader& reader, StepKind kind, ExchangeMessage& exchange) {
  auto& step = Held<ExchangeMessage::Step>(exchange.message);
  if (step.kind != kind) step = {kind, {}};
  return reader.ReadMessage(
      [&](std::uint32_t tag) { return ReadStepField(reader, kind, tag, step.message); });
}

}  // namespace

bool ParseStep(StepKind kind, Fragments bytes, StepMessage& message) {
  WireReader reader(bytes);
  return reader.ReadFields(
      [&](std::uint32_t tag) { return ReadStepField(reader, kind, tag, message); });
}

bool ParseExchange(Fragments bytes, ExchangeMessage& message) {
  WireReader reader(bytes);
  return reader.ReadFields([&](std::uint32_t tag) {
    switch (tag) {
      case WireTag(1, kLengthDelimited):
        return ReadStep(reader, StepKind::kForward, message);
      case WireTag(2, kLengthDelimited):
        return ReadStep(reader, StepKind::kBackward, message);
      case WireTag(3, kLengthDelimited):
        return reader.ReadBytes(message.message.emplace<ByteRange>());
      case WireTag(4, kVarint):
        return ReadInteger(reader, message.has_more);
      case WireTag(5, kVarint):
        return ReadInteger(reader, message.operation);
      default:
        return reader.Skip(tag);
    }
  });
}

}  // namespace dropoutd
