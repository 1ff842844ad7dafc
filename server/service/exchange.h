// The stream of operations.
#ifndef DROPOUTD_SERVER_SERVICE_EXCHANGE_H_
#define DROPOUTD_SERVER_SERVICE_EXCHANGE_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "server/service/call_gate.h"
#include "server/service/gate_pass.h"
#include "server/service/step_message.h"
#include "server/service/step_operation.h"

namespace dropoutd {

// What the messages of a stream mean: operations, one after the other. Not thread-safe.
class ExchangeOperations {
 public:
  // `stream` was admitted, and must outlive this.
  ExchangeOperations(const StepResources& resources, CallGate& gate, const GatedCall& stream)
      : resources_(resources), gate_(gate), stream_(stream) {}

  // The messages that a message is answered with, if any, and its place in the gate, to be
  // kept until they have been sent.
  struct Answer {
    std::vector<grpc::ByteBuffer> messages;
    std::shared_ptr<const GatePass> pass;
  };

  // Takes the client's next message. An error of an operation is a message like others; the
  // status is one of the stream itself, whose message did not parse.
  absl::Status Take(const grpc::ByteBuffer& message, Answer& answer);

  // Whether no operation is waiting for further pieces.
  bool idle() const { return state_ == State::kIdle; }

 private:
  enum class State {
    kIdle,        // The next message begins an operation.
    kCollecting,  // It has a piece of operation_'s tensor.
    kDiscarding,  // It has a piece of one that has failed.
  };

  absl::Status Handle(const Received& received, ExchangeMessage& message,
                      std::vector<grpc::ByteBuffer>& answer);
  absl::Status Begin(const Received& received, ExchangeMessage::Step& step, bool has_more,
                     std::vector<grpc::ByteBuffer>& answer);

  const StepResources resources_;
  CallGate& gate_;
  const GatedCall& stream_;
  State state_ = State::kIdle;
  std::optional<StepOperation> operation_;
};

class ExchangeStream;

// The streams of a service. Thread-safe; must outlive the streams.
class ExchangeStreams {
 public:
  // `max_request_bytes`: of a message, when it is inflated.
  explicit ExchangeStreams(std::size_t max_request_bytes) : max_request_bytes_(max_request_bytes) {}

  // A stream, which owns itself.
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Start(
      grpc::CallbackServerContext& context, const StepResources& resources, CallGate& gate);

  // Ends each stream, with DRAINING, as soon as it has answered the operations that it has
  // begun.
  void Drain();

  // Ends, with DRAINING, the streams with an operation that is still arriving.
  void RefuseArriving();

 private:
  friend class ExchangeStream;
  void Forget(ExchangeStream* stream);

  const std::size_t max_request_bytes_;
  std::mutex mutex_;
  bool draining_ = false;
  std::unordered_set<ExchangeStream*> streams_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_EXCHANGE_H_
