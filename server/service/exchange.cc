#include "server/service/exchange.h"

#include <string>
#include <utility>

#include "dropout/v1/transport.pb.h"
#include "server/base/status_macros.h"
#include "server/service/error_mapping.h"
#include "server/service/inflate.h"
#include "server/service/received.h"
#include "server/service/unary.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

namespace v1 = dropout::v1;

// Answers that wait to be sent: from here on the stream is not read until they are half as
// many. This, and gRPC's own windows, is all that a slow reader costs.
constexpr std::size_t kMaxQueuedBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxQueuedMessages = 1024;

grpc::ByteBuffer ErrorMessage(const absl::Status& status) {
  const PublicError shown = ToPublic(status);
  v1::ExchangeResponse response;
  v1::Error& error = *response.mutable_error();
  error.set_code(static_cast<int>(CodeOf(shown.reason)));
  error.set_reason(std::string(ReasonName(shown.reason)));
  error.set_message(shown.message);
  grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

absl::Status ExchangeOperations::Take(const grpc::ByteBuffer& bytes, Answer& answer) {
  const Received received(bytes);
  ExchangeMessage message;
  if (!received.good() || !ParseExchange(received.fragments(), message)) return DoesNotParse();
  std::shared_ptr<GatePass> pass;
  const absl::Status status = RunGuarded([&]() -> absl::Status {
    pass = std::make_shared<GatePass>(gate_, stream_, bytes.Length());
    answer.pass = pass;
    DROPOUTD_RETURN_IF_ERROR(pass->status());
    return Handle(received, message, answer.messages);
  });
  if (!status.ok()) {
    answer.messages.push_back(ErrorMessage(status));
    operation_.reset();
    state_ = State::kDiscarding;
  }
  if (pass != nullptr) {
    std::size_t response_bytes = 0;
    for (const grpc::ByteBuffer& sent : answer.messages) response_bytes += sent.Length();
    pass->Answered(status, response_bytes);
  }
  if (!message.has_more) {
    operation_.reset();
    state_ = State::kIdle;
  }
  return absl::OkStatus();
}

absl::Status ExchangeOperations::Handle(const Received& received, ExchangeMessage& message,
                                        std::vector<grpc::ByteBuffer>& answer) {
  if (auto* step = std::get_if<ExchangeMessage::Step>(&message.message)) {
    if (state_ == State::kCollecting) {
      answer.push_back(ErrorMessage(
          MakeError(Reason::kInvalidRequest,
                    "has_more: the operation before this one did not get its last piece")));
    }
    return Begin(received, *step, message.has_more, answer);
  }
  switch (state_) {
    case State::kDiscarding:
      return absl::OkStatus();
    case State::kIdle:
      return MakeError(Reason::kInvalidRequest,
                       "message: an operation begins with forward or backward");
    case State::kCollecting:
      break;
  }
  const auto* data = std::get_if<ByteRange>(&message.message);
  return operation_->Feed(data == nullptr ? ByteRange() : *data, !message.has_more, answer);
}

absl::Status ExchangeOperations::Begin(const Received& received, ExchangeMessage::Step& step,
                                       bool has_more, std::vector<grpc::ByteBuffer>& answer) {
  using Extent = StepOperation::Extent;
  operation_.reset();
  step.message.session_id = SessionKey(stream_.tenant, step.message.session_id);
  DROPOUTD_ASSIGN_OR_RETURN(StepOperation operation,
                            StepOperation::Begin(resources_, step.kind, step.message,
                                                 has_more ? Extent::kPieces : Extent::kWhole));
  if (!has_more) {
    DROPOUTD_ASSIGN_OR_RETURN(grpc::ByteBuffer message,
                              operation.AnswerWhole(/*in_exchange=*/true, &received));
    answer.push_back(std::move(message));
    return absl::OkStatus();
  }
  operation_.emplace(std::move(operation));
  state_ = State::kCollecting;
  return operation_->FeedFirst(answer);
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
    has_ended_ = !status_.ok();
    Proceed();
  }

  void Drain() {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    Proceed();
  }

  void OnReadDone(bool good) override {
    {
      const std::lock_guard lock(mutex_);
      is_reading_ = false;
      if (is_finished_) return;
      is_taking_ = true;
    }
    ExchangeOperations::Answer answer;
    absl::Status status;
    // Nobody else touches operations_: there is one read at a time.
    if (good) status = Inflated();
    if (good && status.ok()) status = operations_.Take(incoming_, answer);
    incoming_.Clear();
    const std::lock_guard lock(mutex_);
    is_taking_ = false;
    is_idle_ = operations_.idle();
    if (!good || !status.ok()) has_ended_ = true;
    status_.Update(status);
    for (grpc::ByteBuffer& message : answer.messages) {
      queued_bytes_ += message.Length();
      queue_.push_back({std::move(message), answer.pass});
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

  // A message that waits to be sent, and what it takes of the server meanwhile.
  struct Outgoing {
    grpc::ByteBuffer message;
    std::shared_ptr<const GatePass> pass;
  };

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
      return FinishWith(MakeError(Reason::kDraining, "the server is shutting down"));
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
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;  // With what is being written.
  Outgoing outgoing_;
  std::size_t outgoing_size_ = 0;
  absl::Status status_;
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

void ExchangeStreams::RefuseArriving() {
  const std::lock_guard lock(mutex_);
  for (ExchangeStream* const stream : streams_) stream->RefuseArriving();
}

void ExchangeStreams::Forget(ExchangeStream* stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(stream);
}

}  // namespace dropoutd
