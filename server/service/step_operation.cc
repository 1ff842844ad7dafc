#include "server/service/step_operation.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dropout/v1/step.pb.h"
#include "server/base/checked_math.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/convert.h"
#include "server/service/wire_error.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

// Places may be the same or apart, and nothing in between.
absl::Status CheckOverlap(const Place& input, std::size_t input_size, const Place& output,
                          std::size_t output_size) {
  const bool same = input.data == output.data && input_size == output_size;
  const bool apart =
      input.data + input_size <= output.data || output.data + output_size <= input.data;
  if (input.region != output.region || same || apart) return absl::OkStatus();
  return MakeError(Reason::kInvalidTensor,
                   "output: overlaps the input; it must be the same place or another");
}

// A tensor below this is no work for two.
constexpr std::size_t kPartBytes = std::size_t{2} << 20;

// Below this a buffer of one's own is as quick; and a message in crumbs is better gathered.
constexpr std::size_t kInPlaceFrom = std::size_t{32} << 10;
constexpr std::size_t kLeastFragment = 2048;

// Parts begin at multiples of this many elements.
constexpr std::size_t kPartElements = 4096;
static_assert(kPartElements % Pass::kGranule == 0 && kPartElements % PieceCutter::kBlock == 0);

std::size_t OutputSize(const StepRun& run, const TensorSpec& input) {
  return static_cast<std::size_t>(
      CheckedMultiply(run.output_shape().ElementCount(), ElementSize(input.dtype))
          .value_or(INT64_MAX));
}

std::size_t PartsOf(std::size_t byte_size, const Workers& workers) {
  return std::clamp<std::size_t>(byte_size / kPartBytes, 1, workers.width());
}

std::size_t RoundUp(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

bool IsAligned(const void* place, std::size_t size) {
  return reinterpret_cast<std::uintptr_t>(place) % size == 0;
}

}  // namespace

StepOperation::StepOperation(const StepResources& resources, StepKind kind, const TensorSpec& input,
                             const Form& form, StepRun run, Places places)
    : resources_(resources),
      kind_(kind),
      input_(input),
      form_(form),
      run_(std::move(run)),
      gathers_(form.extent == Extent::kPieces && !run_.streams()),
      output_size_(OutputSize(run_, input)),
      cutter_(input.element_count(), input.element_size()),
      input_place_(std::move(places.input)),
      output_place_(std::move(places.output)) {}

absl::StatusOr<StepOperation> StepOperation::Begin(const StepResources& resources, StepKind kind,
                                                   const StepMessage& message, const Form& form,
                                                   Reserve reserve) {
  const char* const field = TensorFieldOf(kind);
  const TensorMessage none;
  const TensorMessage& tensor = message.tensor.has_value() ? *message.tensor : none;
  DROPOUTD_ASSIGN_OR_RETURN(const TensorSpec input, SpecOf(tensor, field));
  const auto* const data = std::get_if<ByteRange>(&tensor.storage);
  const bool is_shared = std::holds_alternative<PlaceMessage>(tensor.storage);
  const bool is_whole = form.extent == Extent::kWhole;
  if (is_whole && !is_shared) {
    DROPOUTD_RETURN_IF_ERROR(CheckDataSize(input, data == nullptr ? 0 : data->size(), field));
  }
  if (!is_whole && (is_shared || message.output.has_value())) {
    return MakeError(Reason::kInvalidRequest,
                     "has_more: a tensor in shared memory does not come, or go, in pieces");
  }
  Places places;
  std::size_t reserved = 0;
  const auto check = [&](const StepRun& run) -> absl::Status {
    DROPOUTD_RETURN_IF_ERROR(CheckSizes(resources, kind, input, form.extent, run));
    DROPOUTD_ASSIGN_OR_RETURN(places,
                              FindPlaces(resources, kind, message, input, OutputSize(run, input)));
    if (run.held_bytes() <= reserved) return absl::OkStatus();
    DROPOUTD_RETURN_IF_ERROR(reserve(run.held_bytes() - reserved));
    reserved = run.held_bytes();
    return absl::OkStatus();
  };
  Engine& engine = resources.engine;
  const auto begin = [&]() -> absl::StatusOr<StepRun> {
    if (kind == StepKind::kForward) {
      return engine.BeginForward(
          StepOf(message), input.dtype, input.shape,
          {message.option, is_whole ? ForwardStart::kNow : ForwardStart::kLater}, check);
    }
    return engine.BeginBackward(StepOf(message), input.dtype, input.shape,
                                {message.option, message.weight_squared_norm}, check);
  };
  DROPOUTD_ASSIGN_OR_RETURN(StepRun run, begin());
  StepOperation operation(resources, kind, input, form, std::move(run), std::move(places));
  if (data != nullptr) operation.data_ = *data;
  if (message.output.has_value()) operation.output_message_ = *message.output;
  return operation;
}

// What must be held whole is bounded, whatever the request says its shape is.
absl::Status StepOperation::CheckSizes(const StepResources& resources, StepKind kind,
                                       const TensorSpec& input, Extent extent, const StepRun& run) {
  const std::size_t most = resources.max_message_bytes;
  const std::size_t output_size = OutputSize(run, input);
  const bool is_whole = extent == Extent::kWhole;
  if (is_whole ? run.piecewise() : run.streams()) return absl::OkStatus();
  if (output_size <= most && (is_whole || input.byte_size <= most)) return absl::OkStatus();
  return MakeError(
      Reason::kQuotaMessageBytes,
      absl::StrCat(TensorFieldOf(kind), ": ", input.byte_size, " bytes become ", output_size,
                   "; this layer needs both whole, and --max_message_bytes allows ", most));
}

absl::StatusOr<StepOperation::Places> StepOperation::FindPlaces(const StepResources& resources,
                                                                StepKind kind,
                                                                const StepMessage& message,
                                                                const TensorSpec& input,
                                                                std::size_t output_size) {
  Places places;
  if (message.tensor.has_value()) {
    if (const auto* place = std::get_if<PlaceMessage>(&message.tensor->storage)) {
      const std::string field = absl::StrCat(TensorFieldOf(kind), ".shared_memory");
      DROPOUTD_ASSIGN_OR_RETURN(places.input, FindPlace(resources.engine, message.session_id,
                                                        *place, input.byte_size, field.c_str()));
    }
  }
  if (!message.output.has_value()) {
    // An answer in a message, which the request's own size does not bound.
    if (!places.input.has_value() || output_size <= resources.max_message_bytes) return places;
    return MakeError(
        Reason::kQuotaMessageBytes,
        absl::StrCat("output: the answer's tensor has ", output_size,
                     " bytes, --max_message_bytes allows ", resources.max_message_bytes,
                     "; name a place in shared memory for it"));
  }
  DROPOUTD_ASSIGN_OR_RETURN(places.output, FindPlace(resources.engine, message.session_id,
                                                     *message.output, output_size, "output"));
  if (!places.input.has_value()) return places;
  DROPOUTD_RETURN_IF_ERROR(
      CheckOverlap(*places.input, input.byte_size, *places.output, output_size));
  return places;
}

absl::Status StepOperation::Start() {
  if (kind_ == StepKind::kBackward || form_.extent == Extent::kWhole) return absl::OkStatus();
  return resources_.engine.StartForward(run_);
}

absl::StatusOr<grpc::ByteBuffer> StepOperation::AnswerWhole(const Received* received,
                                                            Reserve reserve) {
  if (received != nullptr && FitsInPlace(*received)) return AnswerInPlace(*received);
  DROPOUTD_RETURN_IF_ERROR(reserve(WholeBytes()));
  OutputBuffer buffer(resources_.pool, output_place_.has_value() ? 0 : output_size_);
  DROPOUTD_RETURN_IF_ERROR(Start());
  RunWhole(output_place_.has_value() ? output_place_->data : buffer.payload());
  if (input_place_.has_value()) DROPOUTD_RETURN_IF_ERROR(CheckUnbroken(*input_place_));
  if (output_place_.has_value()) DROPOUTD_RETURN_IF_ERROR(CheckUnbroken(*output_place_));
  DROPOUTD_ASSIGN_OR_RETURN(const std::string late, Finish());
  const std::string rest = EarlyFields() + late;
  const std::size_t size = buffer.payload_size();
  return std::move(buffer).Seal(WholeHead(rest.size()).bytes(), size, rest);
}

WireWriter StepOperation::WholeHead(std::size_t rest_size) const {
  const Shape& shape = run_.output_shape();
  const bool is_placed = output_place_.has_value();
  const WireWriter head = is_placed ? AnswerHead(input_.dtype, shape, output_message_)
                                    : AnswerHead(input_.dtype, shape, output_size_);
  if (!form_.exchange.has_value()) return head;
  return InExchange(kind_, head, (is_placed ? 0 : output_size_) + rest_size,
                    Frame(/*has_more=*/false));
}

bool StepOperation::FitsInPlace(const Received& received) const {
  return run_.piecewise() && !input_place_.has_value() && !output_place_.has_value() &&
         output_size_ == input_.byte_size && output_size_ >= kInPlaceFrom &&
         received.fragments().size() <= output_size_ / kLeastFragment;
}

absl::StatusOr<grpc::ByteBuffer> StepOperation::AnswerInPlace(const Received& received) {
  ForEachPart([&](std::size_t begin, std::size_t n) { OverwritePart(begin, n); });
  DROPOUTD_ASSIGN_OR_RETURN(const std::string late, Finish());
  const std::string rest = EarlyFields() + late;
  const WireWriter head = WholeHead(rest.size());
  std::vector<grpc::Slice> slices = received.SlicesOf(data_);
  slices.emplace(slices.begin(), head.bytes().data(), head.bytes().size());
  if (!rest.empty()) slices.emplace_back(rest);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::size_t StepOperation::WholeBytes() const {
  std::size_t bytes = output_place_.has_value() ? 0 : output_size_;
  if (!gathers_ && run_.piecewise()) return bytes;
  if (gathered_.data() == nullptr) bytes += input_.byte_size;
  return output_place_.has_value() ? bytes + output_size_ : bytes;
}

void StepOperation::RunWhole(void* y) {
  if (gathers_ || !run_.piecewise()) return RunGathered(y);
  auto* const place = static_cast<std::byte*>(y);
  ForEachPart([&](std::size_t begin, std::size_t n) { RunPart(begin, n, place); });
}

template <typename Part>
void StepOperation::ForEachPart(Part part) {
  const std::size_t count = input_.element_count();
  const std::size_t parts = run_.parallel() ? PartsOf(input_.byte_size, resources_.workers) : 1;
  const std::size_t size = RoundUp(count / parts + 1, kPartElements);
  resources_.workers.Run(parts, [&](std::size_t i) {
    const std::size_t begin = std::min(count, i * size);
    part(begin, std::min(size, count - begin));
  });
}

void StepOperation::RunPart(std::size_t begin, std::size_t n, std::byte* y) {
  const std::size_t element_size = input_.element_size();
  if (input_place_.has_value()) {
    return run_.Run(begin, n, input_place_->data + begin * element_size, y + begin * element_size);
  }
  PieceCutter cutter(n, element_size);
  data_.Part(begin * element_size, n * element_size).ForEach([&](std::string_view bytes) {
    cutter.Feed(bytes, [&](std::size_t at, std::size_t count, const void* x) {
      run_.Run(begin + at, count, x, y + (begin + at) * element_size);
    });
  });
}

void StepOperation::OverwritePart(std::size_t begin, std::size_t n) {
  const std::size_t element_size = input_.element_size();
  const ByteRange part = data_.Part(begin * element_size, n * element_size);
  // What of the part lies behind the last block that was cut in two.
  ByteRange rest = part;
  PieceCutter cutter(n, element_size);
  part.ForEach([&](std::string_view bytes) {
    cutter.Feed(bytes, [&](std::size_t at, std::size_t count, const void* x) {
      if (IsIn(x, bytes)) return run_.Run(begin + at, count, x, Overwritable(x));
      std::array<std::byte, PieceCutter::kBlock * 8> block;
      run_.Run(begin + at, count, x, block.data());
      const std::size_t offset = at * element_size - (part.size() - rest.size());
      rest = rest.Part(offset, rest.size() - offset);
      Overwrite(rest.Part(0, count * element_size), block.data());
    });
  });
}

void StepOperation::RunGathered(void* y) {
  const void* x = gathered_.data();
  if (input_place_.has_value() && IsAligned(input_place_->data, input_.element_size())) {
    x = input_place_->data;
  } else if (x == nullptr) {
    gathered_ = resources_.pool.Take(input_.byte_size);
    x = gathered_.data();
    if (input_place_.has_value()) {
      std::memcpy(gathered_.data(), input_place_->data, input_.byte_size);
    } else {
      data_.CopyTo(gathered_.data());
    }
  }
  if (!output_place_.has_value()) return run_.Run(0, input_.element_count(), x, y);
  // A place in shared memory may be the input's own, or not aligned.
  const BufferPool::Buffer result = resources_.pool.Take(output_size_);
  run_.Run(0, input_.element_count(), x, result.data());
  std::memcpy(y, result.data(), output_size_);
}

absl::StatusOr<grpc::ByteBuffer> AnswerStep(const StepResources& resources, StepKind kind,
                                            std::string_view tenant,
                                            const grpc::ByteBuffer& request, Reserve reserve) {
  const Received received(request);
  StepMessage message;
  if (!received.good() || !ParseStep(kind, received.fragments(), message)) return DoesNotParse();
  message.session_id = SessionKey(tenant, message.session_id);
  DROPOUTD_ASSIGN_OR_RETURN(StepOperation operation,
                            StepOperation::Begin(resources, kind, message, {}, reserve));
  return operation.AnswerWhole(&received, reserve);
}

absl::Status StepOperation::Feed(const ByteRange& bytes, bool last, Reserve reserve,
                                 std::vector<grpc::ByteBuffer>& answer) {
  const std::size_t arrived = gathers_ ? gathered_size_ : input_.byte_size - cutter_.bytes_left();
  const std::size_t left = input_.byte_size - arrived;
  if (bytes.size() > left || (last && bytes.size() < left)) {
    // The message names how many came at least.
    return CheckDataSize(input_, arrived + bytes.size(), TensorFieldOf(kind_));
  }
  if (gathers_) return FeedGathered(bytes, last, reserve, answer);
  const std::size_t size = cutter_.ReadyBytes(bytes.size());
  DROPOUTD_RETURN_IF_ERROR(reserve(size));
  OutputBuffer buffer(resources_.pool, size);
  if (last) DROPOUTD_RETURN_IF_ERROR(Start());
  auto* place = static_cast<std::byte*>(buffer.payload());
  bytes.ForEach([&](std::string_view piece) {
    cutter_.Feed(piece, [&](std::size_t begin, std::size_t n, const void* x) {
      run_.Run(begin, n, x, place);
      place += n * input_.element_size();
    });
  });
  std::string late;
  if (last) {
    DROPOUTD_ASSIGN_OR_RETURN(late, Finish());
  }
  // Bytes that do not complete a piece are answered with later ones.
  if (size != 0 || last) AddMessage(std::move(buffer), size, !last || !late.empty(), answer);
  if (!late.empty()) {
    WireWriter head = InExchange(kind_, WireWriter(), late.size(), Frame(/*has_more=*/false));
    answer.push_back(OutputBuffer(resources_.pool, 0).Seal(head.bytes(), 0, late));
  }
  return absl::OkStatus();
}

absl::Status StepOperation::FeedGathered(const ByteRange& bytes, bool last, Reserve reserve,
                                         std::vector<grpc::ByteBuffer>& answer) {
  // Only what arrives is touched, whatever the shape says.
  if (gathered_.data() == nullptr) gathered_ = resources_.pool.Take(input_.byte_size);
  bytes.CopyTo(gathered_.data() + gathered_size_);
  gathered_size_ += bytes.size();
  if (!last) return absl::OkStatus();
  DROPOUTD_ASSIGN_OR_RETURN(grpc::ByteBuffer message, AnswerWhole(nullptr, reserve));
  answer.push_back(std::move(message));
  return absl::OkStatus();
}

void StepOperation::AddMessage(OutputBuffer buffer, std::size_t size, bool has_more,
                               std::vector<grpc::ByteBuffer>& answer) {
  if (has_answered_) {
    const WireWriter head = ExchangeDataHead(size, Frame(has_more));
    answer.push_back(std::move(buffer).Seal(head.bytes(), size, {}));
    return;
  }
  has_answered_ = true;
  const std::string rest = EarlyFields();
  WireWriter head = AnswerHead(input_.dtype, run_.output_shape(), size);
  head = InExchange(kind_, head, size + rest.size(), Frame(has_more));
  answer.push_back(std::move(buffer).Seal(head.bytes(), size, rest));
}

std::string StepOperation::EarlyFields() const {
  if (kind_ == StepKind::kBackward) return {};
  v1::ForwardResponse message;
  message.set_mode(ToProto(run_.mode()));
  message.set_p(run_.p());
  return message.SerializeAsString();
}

absl::StatusOr<std::string> StepOperation::Finish() {
  if (kind_ == StepKind::kForward) {
    DROPOUTD_ASSIGN_OR_RETURN(const ForwardOutcome outcome, resources_.engine.FinishForward(run_));
    if (!outcome.mask.has_value()) return std::string();
    v1::ForwardResponse message;
    *message.mutable_mask() = ToProto(*outcome.mask);
    return message.SerializeAsString();
  }
  DROPOUTD_ASSIGN_OR_RETURN(const BackwardOutcome outcome, resources_.engine.FinishBackward(run_));
  v1::BackwardResponse message;
  for (const Parameter& parameter : outcome.parameter_gradients) {
    *message.add_parameter_gradients() = ToProto(parameter);
  }
  return message.SerializeAsString();
}

}  // namespace dropoutd
