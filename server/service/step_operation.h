// One Forward or Backward, from its request to its answer: what unary calls and the
// operations of an Exchange have in common.
#ifndef DROPOUTD_SERVER_SERVICE_STEP_OPERATION_H_
#define DROPOUTD_SERVER_SERVICE_STEP_OPERATION_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/workers.h"
#include "server/engine/engine.h"
#include "server/engine/step_run.h"
#include "server/memory/buffer_pool.h"
#include "server/service/answer_head.h"
#include "server/service/call_gate.h"
#include "server/service/convert_step.h"
#include "server/service/fragments.h"
#include "server/service/output_buffer.h"
#include "server/service/piece_cutter.h"
#include "server/service/received.h"
#include "server/service/step_message.h"
#include "server/service/wire_writer.h"

namespace dropoutd {

// What operations work with. A value; refers to what must outlive it.
struct StepResources {
  Engine& engine;
  BufferPool& pool;
  Workers& workers;
  std::size_t max_message_bytes = 0;  // Of a tensor that must be held whole.
};

// Not thread-safe. Movable.
class StepOperation {
 public:
  // Whether the request's message has all of the tensor's bytes, or is the first of some.
  enum class Extent { kWhole, kPieces };

  struct Form {
    Extent extent = Extent::kWhole;
    std::optional<std::uint64_t> exchange;  // The operation's number there. Nothing: a unary call.
  };

  // Checks the request and begins it; one of Extent::kWhole begins to write what is to be
  // remembered, one of kPieces does so with its last piece. `reserve` is for what it holds until
  // it ends. `message`, and what it refers to, must
  // stay until AnswerWhole or the first Feed returns. Errors are those of the proto; after one
  // nothing has changed.
  static absl::StatusOr<StepOperation> Begin(const StepResources& resources, StepKind kind,
                                             const StepMessage& message, const Form& form,
                                             Reserve reserve);

  StepKind kind() const { return kind_; }

  // Whether the pieces are put together before any of them is worked on.
  bool gathers() const { return gathers_; }

  // Answers a request of Extent::kWhole: a ForwardResponse or BackwardResponse, in an
  // ExchangeResponse if it came in an Exchange. `received`, the request's message, if it is at
  // hand: its bytes may become the answer's. `reserve` is for what it takes until then, and for
  // the answer.
  absl::StatusOr<grpc::ByteBuffer> AnswerWhole(const Received* received, Reserve reserve);

  // Of a request of Extent::kPieces: takes the tensor's next bytes, the first ones included,
  // and adds the messages that can be answered by now to `answer`. `last`: no more follow.
  // `reserve` is for these messages. INVALID_TENSOR if the bytes are too many or, at the end, too
  // few.
  absl::Status Feed(const ByteRange& bytes, bool last, Reserve reserve,
                    std::vector<grpc::ByteBuffer>& answer);

  // The same for the bytes that came with the request.
  absl::Status FeedFirst(Reserve reserve, std::vector<grpc::ByteBuffer>& answer) {
    return Feed(std::exchange(data_, ByteRange()), /*last=*/false, reserve, answer);
  }

 private:
  // Where in shared memory the tensors are, if they are there.
  struct Places {
    std::optional<Place> input;
    std::optional<Place> output;
  };

  StepOperation(const StepResources& resources, StepKind kind, const TensorSpec& input,
                const Form& form, StepRun run, Places places);

  // What a planned run asks for beside what the engine has checked.
  static absl::StatusOr<Places> FindPlaces(const StepResources& resources, StepKind kind,
                                           const StepMessage& message, const TensorSpec& input,
                                           std::size_t output_size);
  static absl::Status CheckSizes(const StepResources& resources, StepKind kind,
                                 const TensorSpec& input, Extent extent, const StepRun& run);

  // The first effect of a request in pieces; everything has been checked.
  absl::Status Start();

  // Whether the answer's tensor can take the place of the request's in its message.
  bool FitsInPlace(const Received& received) const;

  absl::StatusOr<grpc::ByteBuffer> AnswerInPlace(const Received& received);

  // What AnswerWhole takes where the answer is not in place.
  std::size_t WholeBytes() const;

  // Runs the whole tensor, wherever it lies, into `y`.
  void RunWhole(void* y);

  // Calls part(begin, n) for the parts that threads share, some at once.
  template <typename Part>
  void ForEachPart(Part part);

  // Elements begin .. begin + n - 1 of the tensor.
  void RunPart(std::size_t begin, std::size_t n, std::byte* y);

  // The same to where they came from, in the request's message.
  void OverwritePart(std::size_t begin, std::size_t n);

  // The same where it must lie in one piece, aligned.
  void RunGathered(void* y);

  absl::Status FeedGathered(const ByteRange& bytes, bool last, Reserve reserve,
                            std::vector<grpc::ByteBuffer>& answer);
  void AddMessage(OutputBuffer buffer, std::size_t size, bool has_more,
                  std::vector<grpc::ByteBuffer>& answer);

  // The head of an answer in one message, whose tensor's bytes and `rest_size` more follow.
  WireWriter WholeHead(std::size_t rest_size) const;

  ExchangeFrame Frame(bool has_more) const { return {form_.exchange.value_or(0), has_more}; }

  // The answer's fields that are known when it begins, and those of its end, serialised.
  std::string EarlyFields() const;
  absl::StatusOr<std::string> Finish();

  const StepResources resources_;
  const StepKind kind_;
  const TensorSpec input_;
  const Form form_;
  StepRun run_;
  const bool gathers_;
  std::size_t output_size_;
  PieceCutter cutter_;
  ByteRange data_;  // That came with the request.
  std::optional<Place> input_place_;
  std::optional<Place> output_place_;
  PlaceMessage output_message_;
  BufferPool::Buffer gathered_;
  std::size_t gathered_size_ = 0;
  bool has_answered_ = false;  // The first message of the answer is out.
};

// Answers a ForwardRequest or BackwardRequest without a copy of its tensor: in the slices it came
// in, or from them to the buffer that is sent. The request is used up: its bytes may be
// overwritten. Its session is one of the tenant's. INVALID_REQUEST, and Begin's errors.
absl::StatusOr<grpc::ByteBuffer> AnswerStep(const StepResources& resources, StepKind kind,
                                            std::string_view tenant,
                                            const grpc::ByteBuffer& request, Reserve reserve);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_STEP_OPERATION_H_
