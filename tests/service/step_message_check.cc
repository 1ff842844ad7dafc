#include "tests/service/step_message_check.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "dropout/v1/step.pb.h"
#include "dropout/v1/tensor.pb.h"
#include "dropout/v1/transport.pb.h"
#include "server/service/step_message.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

// Collects the names of the fields that differ.
class Differences {
 public:
  void Expect(bool same, const char* field) {
    if (!same) text_ += std::string(text_.empty() ? "" : ", ") + field;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string Flatten(const ByteRange& range) {
  std::string bytes(range.size(), '\0');
  range.CopyTo(bytes.data());
  return bytes;
}

void ComparePlace(const std::optional<PlaceMessage>& ours, bool present,
                  const v1::SharedMemoryRef& theirs, const char* field, Differences& differences) {
  differences.Expect(ours.has_value() == present, field);
  if (!ours.has_value()) return;
  differences.Expect(ours->region_id == theirs.region_id(), "region_id");
  differences.Expect(ours->offset == theirs.offset(), "offset");
}

void CompareTensor(const std::optional<TensorMessage>& ours, bool present, const v1::Tensor& theirs,
                   Differences& differences) {
  differences.Expect(ours.has_value() == present, "tensor");
  if (!ours.has_value()) return;
  differences.Expect(ours->dtype == theirs.dtype(), "dtype");
  differences.Expect(ours->rank == static_cast<std::size_t>(theirs.shape_size()), "rank");
  const std::size_t kept = std::min(ours->rank, TensorMessage::kKeptSizes);
  differences.Expect(
      static_cast<std::size_t>(theirs.shape_size()) >= kept &&
          std::equal(ours->sizes.begin(), ours->sizes.begin() + kept, theirs.shape().begin()),
      "shape");
  const auto* data = std::get_if<ByteRange>(&ours->storage);
  differences.Expect((data != nullptr) == theirs.has_data(), "has_data");
  if (data != nullptr) differences.Expect(Flatten(*data) == theirs.data(), "data");
  const auto* place = std::get_if<PlaceMessage>(&ours->storage);
  ComparePlace(place != nullptr ? std::optional(*place) : std::nullopt, theirs.has_shared_memory(),
               theirs.shared_memory(), "shared_memory", differences);
}

template <typename Message>
void CompareCommon(const StepMessage& ours, const Message& theirs, Differences& differences) {
  differences.Expect(ours.session_id == theirs.session_id(), "session_id");
  differences.Expect(ours.layer_id == theirs.layer_id(), "layer_id");
  differences.Expect(ours.step.has_value() == theirs.has_step(), "has_step");
  differences.Expect(ours.step.value_or(0) == theirs.step(), "step");
  differences.Expect(ours.sample_offset == theirs.sample_offset(), "sample_offset");
  differences.Expect(ours.sequence_id.has_value() == theirs.has_sequence_id(), "has_sequence_id");
  differences.Expect(ours.sequence_id.value_or(0) == theirs.sequence_id(), "sequence_id");
  ComparePlace(ours.output, theirs.has_output(), theirs.output(), "output", differences);
}

void Compare(const StepMessage& ours, const v1::ForwardRequest& theirs, Differences& differences) {
  CompareCommon(ours, theirs, differences);
  CompareTensor(ours.tensor, theirs.has_input(), theirs.input(), differences);
  differences.Expect(ours.option == theirs.return_mask(), "return_mask");
}

void Compare(const StepMessage& ours, const v1::BackwardRequest& theirs, Differences& differences) {
  CompareCommon(ours, theirs, differences);
  CompareTensor(ours.tensor, theirs.has_output_gradient(), theirs.output_gradient(), differences);
  differences.Expect(ours.option == theirs.release(), "release");
  differences.Expect(ours.weight_squared_norm.has_value() == theirs.has_weight_squared_norm(),
                     "has_weight_squared_norm");
  // By bits, because a NaN is not equal to itself.
  differences.Expect(std::bit_cast<std::uint64_t>(ours.weight_squared_norm.value_or(0)) ==
                         std::bit_cast<std::uint64_t>(theirs.weight_squared_norm()),
                     "weight_squared_norm");
}

void Compare(const ExchangeMessage& ours, const v1::ExchangeRequest& theirs,
             Differences& differences) {
  differences.Expect(ours.has_more == theirs.has_more(), "has_more");
  differences.Expect(ours.operation == theirs.operation(), "operation");
  const auto* step = std::get_if<ExchangeMessage::Step>(&ours.message);
  const bool forward = step != nullptr && step->kind == StepKind::kForward;
  const bool backward = step != nullptr && step->kind == StepKind::kBackward;
  differences.Expect(forward == theirs.has_forward(), "has_forward");
  differences.Expect(backward == theirs.has_backward(), "has_backward");
  if (forward) Compare(step->message, theirs.forward(), differences);
  if (backward) Compare(step->message, theirs.backward(), differences);
  const auto* data = std::get_if<ByteRange>(&ours.message);
  differences.Expect((data != nullptr) == theirs.has_data(), "has_data");
  if (data != nullptr) differences.Expect(Flatten(*data) == theirs.data(), "data");
}

template <typename Theirs, typename Ours, typename ParseOurs>
std::string CompareAs(const std::string& bytes, ParseOurs parse_ours, bool& parsed) {
  Theirs theirs;
  parsed = theirs.ParseFromString(bytes);
  Ours ours;
  if (parse_ours(ours) != parsed) return parsed ? "refused by hand" : "accepted by hand";
  Differences differences;
  if (parsed) Compare(ours, theirs, differences);
  return differences.text();
}

}  // namespace

std::string CompareParsers(MessageType type, const std::string& bytes,
                           const std::vector<std::string_view>& fragments, bool& parsed) {
  switch (type) {
    case MessageType::kForward:
      return CompareAs<v1::ForwardRequest, StepMessage>(
          bytes, [&](auto& ours) { return ParseStep(StepKind::kForward, fragments, ours); },
          parsed);
    case MessageType::kBackward:
      return CompareAs<v1::BackwardRequest, StepMessage>(
          bytes, [&](auto& ours) { return ParseStep(StepKind::kBackward, fragments, ours); },
          parsed);
    case MessageType::kExchange:
      break;
  }
  return CompareAs<v1::ExchangeRequest, ExchangeMessage>(
      bytes, [&](auto& ours) { return ParseExchange(fragments, ours); }, parsed);
}

}  // namespace dropoutd
