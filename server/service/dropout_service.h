// The wire: one handler an RPC, which parses, converts, calls the engine and maps the
// answer. The handlers are raw, so that a message that does not parse gets an error with
// a reason like any other.
#ifndef DROPOUTD_SERVER_SERVICE_DROPOUT_SERVICE_H_
#define DROPOUTD_SERVER_SERVICE_DROPOUT_SERVICE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/base/workers.h"
#include "server/engine/engine.h"
#include "server/memory/buffer_pool.h"
#include "server/service/call_gate.h"
#include "server/service/exchange.h"
#include "server/service/step_operation.h"
#include "server/service/unary_call.h"

namespace dropoutd {

// What GetServerInfo says besides the engine's limits.
struct ServerFacts {
  std::string version;
  std::string store;
  std::string simd_target;                // That kernels run on.
  std::vector<std::string> simd_targets;  // That they could run on, best first.
  std::int64_t max_message_bytes = 0;
  std::int64_t max_bytes_in_flight = 0;
};

// Most memory that is kept for answers: a few of the largest with default flags.
inline constexpr std::size_t kAnswerPoolBytes = std::size_t{128} << 20;

// Refers to `engine` and `gate`, which must outlive it. Thread-safe.
class DropoutService final : public grpc::Service {
 public:
  DropoutService(Engine& engine, CallGate& gate, ServerFacts facts);

  // Ends the streams, each after the operations that it has begun.
  void Drain() { streams_.Drain(); }

  // Ends, in the same way, the streams that have begun before `begin`.
  void EndStreams(std::chrono::steady_clock::time_point begin) { streams_.DrainOlder(begin); }

  // Frees the pool's memory that no answer has used for `unused_for`.
  void ReleaseIdle(std::chrono::nanoseconds unused_for) { pool_.ReleaseIdle(unused_for); }

  // Ends the calls whose requests are still arriving, and the streams with operations that are.
  void RefuseArriving();

 private:
  using Bytes = grpc::ByteBuffer;
  using Handler = absl::Status (DropoutService::*)(const GatedCall& call, const Bytes& request,
                                                   Bytes& response);

  struct Rpc {
    const char* path;
    Handler handler;
    std::size_t max_request_bytes;
  };
  static const Rpc kUnaryRpcs[];

  // Registers an RPC as a stream, whatever its kind: gRPC runs the handler at the headers.
  void AddRpc(const char* path, std::unique_ptr<grpc::internal::MethodHandler> handler);

  absl::Status CreateSession(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status GetSession(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status ListSessions(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status DeleteSession(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status ExportSession(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status ImportSession(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status ForkSession(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status CreateLayer(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status UpdateLayer(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status DeleteLayer(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status SetMode(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status Forward(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status Backward(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status GetMask(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status ReleaseSteps(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status SetParameters(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status GetParameters(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status CreateSharedMemory(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status DeleteSharedMemory(const GatedCall& call, const Bytes& request, Bytes& response);
  absl::Status GetServerInfo(const GatedCall& call, const Bytes& request, Bytes& response);

  StepResources Resources() {
    return {engine_, pool_, workers_, static_cast<std::size_t>(facts_.max_message_bytes)};
  }

  Engine& engine_;
  CallGate& gate_;
  const ServerFacts facts_;
  BufferPool pool_;
  Workers workers_;
  int rpc_count_ = 0;
  UnaryCalls calls_;
  ExchangeStreams streams_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_DROPOUT_SERVICE_H_
