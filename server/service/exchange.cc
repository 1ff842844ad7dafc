#include "server/service/exchange.h"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "dropout/v1/transport.pb.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/error_mapping.h"
#include "server/service/inflate.h"
#include "server/service/unary.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

// Answers that wait to be sent: from here on the stream is not read until they are half as
// many. This, and gRPC's own windows, is all that a slow reader costs.
constexpr std::size_t kMaxQueuedBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxQueuedMessages = 1024;

grpc::ByteBuffer ErrorMessage(const absl::Status& status, std::uint64_t operation) {
  const PublicError shown = ToPublic(status);
  v1::ExchangeResponse response;
  v1::Error& error = *response.mutable_error();
  error.set_code(static_cast<int>(CodeOf(shown.reason)));
  error.set_reason(std::string(ReasonName(shown.reason)));
  error.set_message(shown.message);
  response.set_operation(operation);
  grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// What an operation is called in logs and metrics.
std::string_view MethodOf(const ExchangeMessage& message) {
  const auto* const step = std::get_if<ExchangeMessage::Step>(&message.message);
  if (step == nullptr) return "Exchange";
  return step->kind == StepKind::kForward ? "Exchange.Forward" : "Exchange.Backward";
}

absl::Status CutShort(const char* how) {
  return MakeError(Reason::kInvalidRequest,
                   absl::StrCat("has_more: ", how, " before this operation got its last piece"));
}

}  // namespace

ExchangeOperations::~ExchangeOperations() {
  if (operation_.has_value()) Finish(absl::CancelledError("the stream ended"));
}

absl::Status ExchangeOperations::Take(const grpc::ByteBuffer& bytes, Answers& answers) {
  const Received received(bytes);
  ExchangeMessage message;
  if (!received.good() || !ParseExchange(received.fragments(), message)) return DoesNotParse();
  const bool is_step = std::holds_alternative<ExchangeMessage::Step>(message.message);
  if (is_step || (idle() && !is_discarding_)) {
    if (!idle()) Fail(CutShort("another operation began"), answers);
    Begin(received, message, bytes.Length(), answers);
  } else if (!idle()) {
    Run(!message.has_more, answers, [&](auto& held, auto& messages) -> absl::Status {
      DROPOUTD_ASSIGN_OR_RETURN(held, HeldBytes::OfPiece(operation_->pass, bytes.Length()));
      held = Keep(std::move(held));
      return Continue(
          message, [&held](std::size_t more) { return held->Grow(more); }, messages);
    });
  }
  is_discarding_ = idle() && message.has_more;
  return absl::OkStatus();
}

void ExchangeOperations::End(Answers& answers) {
  if (!idle()) Fail(CutShort("the stream ended"), answers);
}

void ExchangeOperations::Begin(const Received& received, ExchangeMessage& message, std::size_t size,
                               Answers& answers) {
  operation_.emplace();
  operation_->number = message.operation;
  Run(!message.has_more, answers, [&](auto& held, auto& messages) -> absl::Status {
    operation_->pass = std::make_shared<GatePass>(gate_, stream_, MethodOf(message), size);
    DROPOUTD_RETURN_IF_ERROR(operation_->pass->status());
    held = HeldBytes::OfFirst(operation_->pass);
    DROPOUTD_RETURN_IF_ERROR(BeginStep(
        received, message, [&held](std::size_t more) { return held->Grow(more); }, messages));
    held = Keep(std::move(held));
    return absl::OkStatus();
  });
}

absl::Status ExchangeOperations::BeginStep(const Received& received, ExchangeMessage& message,
                                           Reserve reserve,
                                           std::vector<grpc::ByteBuffer>& messages) {
  auto* const begun = std::get_if<ExchangeMessage::Step>(&message.message);
  if (begun == nullptr) {
    return MakeError(Reason::kInvalidRequest,
                     "message: an operation begins with forward or backward");
  }
  begun->message.session_id = SessionKey(stream_.tenant, begun->message.session_id);
  StepOperation::Form form;
  form.extent = message.has_more ? StepOperation::Extent::kPieces : StepOperation::Extent::kWhole;
  form.exchange = message.operation;
  const auto reserve_working = [this](std::size_t bytes) {
    operation_->working = std::make_shared<HeldBytes>(operation_->pass, 0);
    return operation_->working->Grow(bytes);
  };
  DROPOUTD_ASSIGN_OR_RETURN(
      StepOperation step,
      StepOperation::Begin(resources_, begun->kind, begun->message, form, reserve_working));
  if (message.has_more)
    return operation_->step.emplace(std::move(step)).FeedFirst(reserve, messages);
  DROPOUTD_ASSIGN_OR_RETURN(grpc::ByteBuffer whole, step.AnswerWhole(&received, reserve));
  messages.push_back(std::move(whole));
  return absl::OkStatus();
}

absl::Status ExchangeOperations::Continue(const ExchangeMessage& message, Reserve reserve,
                                          std::vector<grpc::ByteBuffer>& messages) {
  if (message.operation != 0 && message.operation != operation_->number) {
    return MakeError(Reason::kInvalidRequest,
                     absl::StrCat("operation: a piece of operation ", message.operation,
                                  " came while operation ", operation_->number,
                                  " waits for its pieces; send the pieces of one together"));
  }
  const auto* const data = std::get_if<ByteRange>(&message.message);
  return operation_->step->Feed(data == nullptr ? ByteRange() : *data, !message.has_more, reserve,
                                messages);
}

std::shared_ptr<HeldBytes> ExchangeOperations::Keep(std::shared_ptr<HeldBytes> held) {
  if (!operation_->step.has_value() || !operation_->step->gathers()) return held;
  std::shared_ptr<HeldBytes>& gathered = operation_->gathered;
  if (gathered == nullptr) {
    gathered = std::move(held);
  } else {
    gathered->Absorb(*held);
  }
  return gathered;
}

template <typename Work>
void ExchangeOperations::Run(bool is_last, Answers& answers, Work work) {
  std::shared_ptr<HeldBytes> held;
  std::vector<grpc::ByteBuffer> messages;
  const absl::Status status = RunGuarded([&] { return work(held, messages); });
  for (grpc::ByteBuffer& message : messages) Send(std::move(message), held, answers);
  if (!status.ok()) {
    Fail(status, answers);
  } else if (is_last) {
    Finish(status);
  }
}

void ExchangeOperations::Send(grpc::ByteBuffer message, std::shared_ptr<const HeldBytes> held,
                              Answers& answers) {
  operation_->response_bytes += message.Length();
  answers.push_back({std::move(message), std::move(held)});
}

void ExchangeOperations::Fail(const absl::Status& status, Answers& answers) {
  Send(ErrorMessage(status, operation_->number), nullptr, answers);
  Finish(status);
}

void ExchangeOperations::Finish(const absl::Status& outcome) {
  if (operation_->pass != nullptr) operation_->pass->Answered(outcome, operation_->response_bytes);
  operation_.reset();
}

// Reads, works and writes, each one message at a time, and reads on while it writes.
class ExchangeStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ExchangeStream(ExchangeStreams& streams, grpc::CallbackServerContext& context,
                 const StepResources& resources, CallGate& gate)
      : streams_(streams), gate_(gate), operations_(resources, gate, call_) {
    call_.method = "Exchange";
    call_.context = &context;
  }

  void Start() {
    const std::lock_guard lock(mutex_);
    status_ = gate_.Enter(call_);
    is_started_ = true;
    has_ended_ = !status_.ok();
    Proceed();
  }

  // When it began.
  std::chrono::steady_clock::time_point begin() const { return call_.start; }

  void Drain() {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    if (is_started_) Proceed();
  }

  void OnReadDone(bool good) override {
    {
      const std::lock_guard lock(mutex_);
      is_reading_ = false;
      if (is_finished_) return;
      is_taking_ = true;
    }
    ExchangeOperations::Answers answers;
    absl::Status status;
    // Nobody else touches operations_: there is one read at a time.
    if (good) {
      status = Inflated();
      if (status.ok()) status = operations_.Take(incoming_, answers);
    } else if (!call_.context->IsCancelled()) {
      operations_.End(answers);
    }
    incoming_.Clear();
    const std::lock_guard lock(mutex_);
    is_taking_ = false;
    is_idle_ = operations_.idle();
    if (!good || !status.ok()) has_ended_ = true;
    status_.Update(status);
    for (ExchangeOperations::Outgoing& each : answers) {
      queued_bytes_ += each.message.Length();
      queue_.push_back(std::move(each));
    }
    Proceed();
  }

  // Ends the stream after what has come, whether or not an operation waits for further pieces.
  void RefuseArriving() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    status_.Update(
        MakeError(Reason::kDraining,
                  "the server is shutting down, and the operation has not arrived in time"));
    Proceed();
  }

  void OnWriteDone(bool good) override {
    const std::lock_guard lock(mutex_);
    is_writing_ = false;
    queued_bytes_ -= outgoing_size_;
    outgoing_ = {};
    if (!good) {
      has_ended_ = true;
      queue_.clear();
      queued_bytes_ = 0;
    }
    Proceed();
  }

  void OnDone() override {
    streams_.Forget(this);
    gate_.Leave(call_);
    delete this;
  }

 private:
  // Inflates the message that has come. What that takes is charged to the stream meanwhile, and
  // then to the operation. An error is the stream's: nothing says whose message it was.
  absl::Status Inflated() {
    std::size_t charged = 0;
    const absl::Status status = RunGuarded([&] {
      return Inflate(incoming_, streams_.max_request_bytes_, [&](std::size_t bytes) {
        absl::Status admitted = gate_.Charge(call_, bytes);
        if (admitted.ok()) charged += bytes;
        return admitted;
      });
    });
    gate_.Refund(call_, charged);
    return status;
  }

  // Starts what can be started. The lock is held.
  void Proceed() {
    if (is_finished_ || is_taking_) return;
    if (!is_writing_ && !queue_.empty()) Write();
    if (is_writing_ || !queue_.empty()) {
      if (!has_ended_ && !is_reading_ && HasRoom()) Read();
      return;
    }
    if (has_ended_) return FinishWith(status_);
    if (draining_ && is_idle_) {
      return FinishWith(
          MakeError(Reason::kDraining, "the server ends this stream; open another one"));
    }
    if (!is_reading_) Read();
  }

  bool HasRoom() {
    if (queued_bytes_ >= kMaxQueuedBytes || queue_.size() >= kMaxQueuedMessages) is_full_ = true;
    if (queued_bytes_ <= kMaxQueuedBytes / 2 && queue_.size() <= kMaxQueuedMessages / 2) {
      is_full_ = false;
    }
    return !is_full_;
  }

  void Read() {
    is_reading_ = true;
    StartRead(&incoming_);
  }

  void Write() {
    outgoing_ = std::move(queue_.front());
    queue_.pop_front();
    outgoing_size_ = outgoing_.message.Length();
    is_writing_ = true;
    grpc::WriteOptions options;
    // With more to come, small messages share a packet.
    if (!queue_.empty()) options.set_buffer_hint();
    StartWrite(&outgoing_.message, options);
  }

  void FinishWith(const absl::Status& status) {
    is_finished_ = true;
    gate_.Answer(call_, status);
    const grpc::Status end = ToGrpc(status, call_);
    for (const auto& [name, value] : call_.trailers) {
      call_.context->AddTrailingMetadata(name, value);
    }
    Finish(end);
  }

  ExchangeStreams& streams_;
  CallGate& gate_;
  GatedCall call_;  // Set before the first read, and not after.
  ExchangeOperations operations_;
  grpc::ByteBuffer incoming_;

  std::mutex mutex_;  // Guards what follows.
  std::deque<ExchangeOperations::Outgoing> queue_;
  std::size_t queued_bytes_ = 0;  // With what is being written.
  ExchangeOperations::Outgoing outgoing_;
  std::size_t outgoing_size_ = 0;
  absl::Status status_;
  bool is_started_ = false;  // The gate has been asked.
  bool is_reading_ = false;
  bool is_taking_ = false;  // A message is worked on.
  bool is_writing_ = false;
  bool is_idle_ = true;  // No operation is waiting for pieces.
  bool is_full_ = false;
  bool draining_ = false;
  bool has_ended_ = false;    // Nothing more will be read.
  bool is_finished_ = false;  // Nothing more may be started.
};

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ExchangeStreams::Start(
    grpc::CallbackServerContext& context, const StepResources& resources, CallGate& gate) {
  auto* const stream = new ExchangeStream(*this, context, resources, gate);
  stream->Start();  // Before Drain, so that the gate names the stream and refuses it.
  {
    const std::lock_guard lock(mutex_);
    streams_.insert(stream);
    if (draining_) stream->Drain();
  }
  return stream;
}

void ExchangeStreams::Drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  for (ExchangeStream* const stream : streams_) stream->Drain();
}

void ExchangeStreams::DrainOlder(std::chrono::steady_clock::time_point begin) {
  const std::lock_guard lock(mutex_);
  for (ExchangeStream* const stream : streams_) {
    if (stream->begin() < begin) stream->Drain();
  }
}

void ExchangeStreams::RefuseArriving() {
  const std::lock_guard lock(mutex_);
  for (ExchangeStream* const stream : streams_) stream->RefuseArriving();
}

void ExchangeStreams::Forget(ExchangeStream* stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(stream);
}

}  // namespace dropoutd
