// The wire: one handler an RPC, which parses, converts, calls the engine and maps the
// answer. The handlers are raw, so that a message that does not parse gets an error with
// a reason like any other.
#ifndef DROPOUTD_SERVER_SERVICE_DROPOUT_SERVICE_H_
#define DROPOUTD_SERVER_SERVICE_DROPOUT_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dropout/v1/dropout_service.grpc.pb.h"
#include "server/base/workers.h"
#include "server/memory/buffer_pool.h"
#include "server/service/call_gate.h"
#include "server/service/exchange.h"
#include "server/service/step_operation.h"
#include "server/session/engine.h"

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

namespace internal {

using Generated = dropout::v1::DropoutService;

// clang-format off
using RawService =
    Generated::WithRawCallbackMethod_CreateSession<
    Generated::WithRawCallbackMethod_GetSession<
    Generated::WithRawCallbackMethod_ListSessions<
    Generated::WithRawCallbackMethod_DeleteSession<
    Generated::WithRawCallbackMethod_ExportSession<
    Generated::WithRawCallbackMethod_ImportSession<
    Generated::WithRawCallbackMethod_ForkSession<
    Generated::WithRawCallbackMethod_CreateLayer<
    Generated::WithRawCallbackMethod_UpdateLayer<
    Generated::WithRawCallbackMethod_DeleteLayer<
    Generated::WithRawCallbackMethod_SetMode<
    Generated::WithRawCallbackMethod_Forward<
    Generated::WithRawCallbackMethod_Backward<
    Generated::WithRawCallbackMethod_GetMask<
    Generated::WithRawCallbackMethod_ReleaseSteps<
    Generated::WithRawCallbackMethod_SetParameters<
    Generated::WithRawCallbackMethod_GetParameters<
    Generated::WithRawCallbackMethod_CreateSharedMemory<
    Generated::WithRawCallbackMethod_DeleteSharedMemory<
    Generated::WithRawCallbackMethod_Exchange<
    Generated::WithRawCallbackMethod_GetServerInfo<
    Generated::Service>>>>>>>>>>>>>>>>>>>>>;
// clang-format on

}  // namespace internal

// Refers to `engine` and `gate`, which must outlive it. Thread-safe.
class DropoutService final : public internal::RawService {
 public:
  DropoutService(Engine& engine, CallGate& gate, ServerFacts facts);

  // Ends the streams, each after the operations that it has begun.
  void Drain() { streams_.Drain(); }

  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  using Bytes = grpc::ByteBuffer;

  Reactor* CreateSession(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* GetSession(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* ListSessions(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* DeleteSession(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* ExportSession(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* ImportSession(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* ForkSession(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* CreateLayer(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* UpdateLayer(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* DeleteLayer(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* SetMode(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* Forward(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* Backward(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* GetMask(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* ReleaseSteps(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* SetParameters(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* GetParameters(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* CreateSharedMemory(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* DeleteSharedMemory(Context* context, const Bytes* request, Bytes* response) override;
  grpc::ServerBidiReactor<Bytes, Bytes>* Exchange(Context* context) override;
  Reactor* GetServerInfo(Context* context, const Bytes* request, Bytes* response) override;

 private:
  StepResources Resources() {
    return {engine_, pool_, workers_, static_cast<std::size_t>(facts_.max_message_bytes)};
  }

  Engine& engine_;
  CallGate& gate_;
  const ServerFacts facts_;
  BufferPool pool_;
  Workers workers_;
  ExchangeStreams streams_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_DROPOUT_SERVICE_H_
