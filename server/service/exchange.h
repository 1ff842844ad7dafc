// The stream of operations.
#ifndef DROPOUTD_SERVER_SERVICE_EXCHANGE_H_
#define DROPOUTD_SERVER_SERVICE_EXCHANGE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "server/service/call_gate.h"
#include "server/service/gate_pass.h"
#include "server/service/received.h"
#include "server/service/step_message.h"
#include "server/service/step_operation.h"

namespace dropoutd {

// What the messages of a stream mean: operations, one after the other. Each enters the gate once,
// with its first message, and is answered once, with its last piece or an error. Not thread-safe.
//
//   state       a request           a piece                 the client's end
//   idle        begins one          begins one and fails it -
//   collecting  fails that one,     goes on with that one,  fails that one
//               begins another      or fails it
//   discarding  begins one          -                       -
//
// After each message the state is collecting if an operation waits for pieces, else discarding if
// one has failed and has_more was set, else idle.
class ExchangeOperations {
 public:
  // `stream` was admitted, and must outlive this.
  ExchangeOperations(const StepResources& resources, CallGate& gate, const GatedCall& stream)
      : resources_(resources), gate_(gate), stream_(stream) {}
  ~ExchangeOperations();
  ExchangeOperations(const ExchangeOperations&) = delete;
  ExchangeOperations& operator=(const ExchangeOperations&) = delete;

  // A message to send, and what it stands for in memory until it has been sent.
  struct Outgoing {
    grpc::ByteBuffer message;
    std::shared_ptr<const HeldBytes> held;  // Null: nothing that counts.
  };
  using Answers = std::vector<Outgoing>;

  // Takes the client's next message, and adds what can be answered by now. An error of an operation
  // is a message like others; the status is one of the stream itself, whose message did not parse.
  absl::Status Take(const grpc::ByteBuffer& message, Answers& answers);

  // The client sends nothing more.
  void End(Answers& answers);

  // Whether every operation that has begun has been answered.
  bool idle() const { return !operation_.has_value(); }

 private:
  // One that has begun and has not been answered.
  struct Operation {
    std::uint64_t number = 0;
    std::shared_ptr<GatePass> pass;
    std::optional<StepOperation> step;    // Nothing before it was admitted and checked.
    std::shared_ptr<HeldBytes> gathered;  // What has come of a tensor that is gathered.
    std::shared_ptr<HeldBytes> working;   // What it holds until it ends; null: nothing.
    std::size_t response_bytes = 0;
  };

  void Begin(const Received& received, ExchangeMessage& message, std::size_t size,
             Answers& answers);
  // `reserve` is for the messages.
  absl::Status BeginStep(const Received& received, ExchangeMessage& message, Reserve reserve,
                         std::vector<grpc::ByteBuffer>& messages);
  absl::Status Continue(const ExchangeMessage& message, Reserve reserve,
                        std::vector<grpc::ByteBuffer>& messages);

  // The bytes of a message, from now on those of the operation that is gathered, if it is.
  std::shared_ptr<HeldBytes> Keep(std::shared_ptr<HeldBytes> held);

  // Runs `work(held, messages) -> absl::Status`, which may answer with messages that stand for
  // `held`, and ends the operation if it fails or the message is its last.
  template <typename Work>
  void Run(bool is_last, Answers& answers, Work work);

  void Send(grpc::ByteBuffer message, std::shared_ptr<const HeldBytes> held, Answers& answers);

  // Ends the operation with an error that the client is told.
  void Fail(const absl::Status& status, Answers& answers);

  // Ends the operation; its outcome goes to the gate.
  void Finish(const absl::Status& outcome);

  const StepResources resources_;
  CallGate& gate_;
  const GatedCall& stream_;
  std::optional<Operation> operation_;
  bool is_discarding_ = false;  // Pieces may come of an operation that has failed.
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

  // Ends in the same way those that have begun before `begin`.
  void DrainOlder(std::chrono::steady_clock::time_point begin);

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
