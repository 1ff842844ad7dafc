#include "server/service/unary_call.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/service/error_mapping.h"
#include "server/service/inflate.h"
#include "server/service/raw_buffer.h"
#include "server/service/unary.h"

namespace dropoutd {
namespace {

// A view, which the text must outlive.
grpc_slice SliceOf(const std::string& text) {
  return grpc_slice_from_static_buffer(text.data(), text.size());
}

}  // namespace

// A call, from its headers until its answer has been sent. It holds its admission until then,
// because its request and its answer occupy memory until then: a client that does not read its
// answer must not make room for further calls.
//
// Speaks to gRPC's core, in two batches: one reads the request, one sends the answer and waits for
// the stream's end. The reactors of the C++ layer need two more, and another thread for the end.
class UnaryCall {
 public:
  struct Method {
    std::string_view name;
    std::size_t max_request_bytes;
    UnaryHandler handler;
  };

  UnaryCall(UnaryCalls& calls, const Method& method,
            const grpc::internal::MethodHandler::HandlerParameter& start)
      : calls_(calls), method_(method), core_(start.call->call()), release_(start.call_requester) {
    call_.method = method.name;
    call_.reserve = [this](std::size_t bytes) { return Charge(bytes); };
    call_.context = static_cast<grpc::CallbackServerContext*>(start.server_context);
  }

  void Start() {
    const absl::Status admitted = gate().Enter(call_);
    if (!admitted.ok()) {
      users_ = 1;
      return End(admitted);
    }
    place_ = calls_.AddArriving(this);
    grpc_op read = {};
    read.op = GRPC_OP_RECV_MESSAGE;
    read.data.recv_message.recv_message = RawBufferPlace(request_);
    StartBatch(&read, 1, on_read_);
  }

  // Whether the caller is the first to ask, who then must call End.
  bool Claim() { return !is_claimed_.exchange(true); }

  // Sends the outcome, and the answer if it is OK. The call may be gone afterwards.
  void End(const absl::Status& outcome) {
    call_.response_bytes = outcome.ok() ? response_.Length() : 0;
    gate().Answer(call_, outcome);
    const grpc::Status status = ToGrpc(outcome, call_);
    message_ = status.error_message();
    std::array<grpc_op, 4> ops = {};
    std::size_t count = 0;
    ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (outcome.ok()) {
      grpc_op& send = ops[count++];
      send.op = GRPC_OP_SEND_MESSAGE;
      send.data.send_message.send_message = RawBuffer(response_);
    }
    grpc_op& end = ops[count++];
    end.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    FillStatus(status.error_code(), end.data.send_status_from_server);
    grpc_op& closed = ops[count++];
    closed.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    closed.data.recv_close_on_server.cancelled = &was_cancelled_;
    StartBatch(ops.data(), count, on_sent_);
  }

 private:
  // What gRPC runs when a batch is done.
  struct Event : grpc_completion_queue_functor {
    using Reaction = void (UnaryCall::*)();

    Event(UnaryCall* call_in, Reaction reaction_in, bool is_short)
        : grpc_completion_queue_functor{}, call(call_in), reaction(reaction_in) {
      functor_run = [](grpc_completion_queue_functor* self, int) {
        auto* const event = static_cast<Event*>(self);
        (event->call->*event->reaction)();
      };
      inlineable = is_short ? 1 : 0;
    }

    UnaryCall* const call;
    const Reaction reaction;
  };

  CallGate& gate() const { return calls_.gate_; }

  void StartBatch(const grpc_op* ops, std::size_t count, Event& done) {
    GPR_ASSERT(grpc_call_start_batch(core_, ops, count, &done, nullptr) == GRPC_CALL_OK);
  }

  void OnRead() {
    calls_.RemoveArriving(place_);
    if (Claim()) {
      call_.start = std::chrono::steady_clock::now();
      End(request_.Valid() ? Handle() : Missing());
    }
    Release();
  }

  absl::Status Handle() {
    return RunGuarded([&]() -> absl::Status {
      call_.request_bytes = request_.Length();
      DROPOUTD_RETURN_IF_ERROR(CheckSize(request_.Length()));
      DROPOUTD_RETURN_IF_ERROR(Charge(request_.Length()));
      DROPOUTD_RETURN_IF_ERROR(Inflate(request_, method_.max_request_bytes,
                                       [&](std::size_t bytes) { return Charge(bytes); }));
      return method_.handler(call_, request_, response_);
    });
  }

  absl::Status CheckSize(std::size_t bytes) const {
    if (bytes <= method_.max_request_bytes) return absl::OkStatus();
    return MakeError(
        Reason::kQuotaMessageBytes,
        absl::StrCat("the request has ", bytes, " bytes, the most allowed for this RPC is ",
                     method_.max_request_bytes));
  }

  absl::Status Charge(std::size_t bytes) {
    absl::Status status = gate().Charge(call_, bytes);
    if (status.ok()) charged_ += bytes;
    return status;
  }

  // Nobody reads this if the client has gone, or if gRPC has refused the request for its size.
  absl::Status Missing() const {
    if (grpc_call_failed_before_recv_message(core_) != 0) {
      return absl::CancelledError("the request did not arrive");
    }
    return MakeError(Reason::kInvalidRequest, "the call has no request: it must have one message");
  }

  void FillStatus(grpc::StatusCode code,
                  grpc_op::grpc_op_data::grpc_op_send_status_from_server& send) {
    for (const auto& [name, value] : call_.trailers) {
      trailers_.push_back({SliceOf(name), SliceOf(value), {}});
    }
    send.trailing_metadata_count = trailers_.size();
    send.trailing_metadata = trailers_.data();
    send.status = static_cast<grpc_status_code>(code);
    details_ = SliceOf(message_);
    send.status_details = message_.empty() ? nullptr : &details_;
  }

  void OnSent() { Release(); }

  void Release() {
    if (--users_ != 0) return;
    gate().Refund(call_, charged_);
    gate().Leave(call_);
    const std::function<void()> release = std::move(release_);
    delete this;
    release();
  }

  UnaryCalls& calls_;
  const Method& method_;
  grpc_call* const core_;
  std::function<void()> release_;  // Gives up gRPC's part of the call.
  GatedCall call_;
  std::size_t charged_ = 0;  // To be refunded.
  UnaryCalls::Place place_;
  std::atomic<bool> is_claimed_{false};
  std::atomic<int> users_{2};  // The batches.
  Event on_read_{this, &UnaryCall::OnRead, /*is_short=*/false};
  Event on_sent_{this, &UnaryCall::OnSent, /*is_short=*/true};

  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::string message_;
  grpc_slice details_ = {};
  std::vector<grpc_metadata> trailers_;
  int was_cancelled_ = 0;
};

std::unique_ptr<grpc::internal::MethodHandler> UnaryCalls::HandlerOf(std::string_view method,
                                                                     std::size_t max_request_bytes,
                                                                     UnaryHandler handler) {
  class Starter final : public grpc::internal::MethodHandler {
   public:
    Starter(UnaryCalls& calls, UnaryCall::Method method)
        : calls_(calls), method_(std::move(method)) {}

    void RunHandler(const HandlerParameter& start) override {
      (new UnaryCall(calls_, method_, start))->Start();
    }

   private:
    UnaryCalls& calls_;
    const UnaryCall::Method method_;
  };
  return std::make_unique<Starter>(
      *this, UnaryCall::Method{method, max_request_bytes, std::move(handler)});
}

void UnaryCalls::RefuseArriving() {
  std::vector<UnaryCall*> refused;
  {
    const std::lock_guard lock(mutex_);
    for (UnaryCall* const call : arriving_) {
      if (call->Claim()) refused.push_back(call);
    }
  }
  // They cannot go before they are answered.
  for (UnaryCall* const call : refused) {
    call->End(MakeError(Reason::kDraining,
                        "the server is shutting down, and the request has not arrived in time"));
  }
}

UnaryCalls::Place UnaryCalls::AddArriving(UnaryCall* call) {
  const std::lock_guard lock(mutex_);
  return arriving_.insert(arriving_.end(), call);
}

void UnaryCalls::RemoveArriving(Place place) {
  const std::lock_guard lock(mutex_);
  arriving_.erase(place);
}

}  // namespace dropoutd
