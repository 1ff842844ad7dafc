// Who may come in: the place where the service asks before it works on a call, and says how
// the call ended.
#ifndef DROPOUTD_SERVER_SERVICE_CALL_GATE_H_
#define DROPOUTD_SERVER_SERVICE_CALL_GATE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace dropoutd {

// Takes `bytes` of memory for a call, before it is allocated, or says why not:
// QUOTA_BYTES_IN_FLIGHT. It is refunded by its owner when the call's answer has been sent.
using Reserve = absl::FunctionRef<absl::Status(std::size_t bytes)>;

// A unary call, a stream, or one operation of a stream. Not thread-safe.
struct GatedCall {
  // Set by the service before Enter.
  std::string_view method;  // The RPC's name: "Forward". Outlives the call.
  grpc::CallbackServerContext* context = nullptr;
  std::size_t request_bytes = 0;  // Of an operation in pieces it grows after Enter, as they come.
  const GatedCall* stream = nullptr;  // Of an operation: its stream, which was admitted.
  std::function<absl::Status(std::size_t)> reserve;  // Of a unary call: see Reserve.

  // Set by Enter, whether it admits the call or not.
  std::string peer;        // The client's end of the connection, as gRPC names it.
  std::string tenant;      // Whose sessions the call sees; empty where there are no tenants.
  std::string request_id;  // Names the call in logs and to the client.
  std::string trace_id;    // Of the W3C trace that the call belongs to, or empty.
  // The request's arrival: the service sets it again where that comes after Enter.
  std::chrono::steady_clock::time_point start;
  bool admitted = false;
  std::size_t charged_bytes = 0;  // That Leave gives back: the request's, if it was admitted.

  // Set by the service before Answer.
  std::size_t response_bytes = 0;

  // Trailing metadata of the answer, from the gate and the service.
  std::vector<std::pair<std::string, std::string>> trailers;
};

// Thread-safe.
class CallGate {
 public:
  virtual ~CallGate() = default;

  // Admits a call, or says why not: UNAUTHENTICATED, DRAINING, QUOTA_.... In both cases
  // Answer must follow when the outcome is known and before the client knows it, and then Leave
  // when the answer has been sent: so long it is in memory.
  virtual absl::Status Enter(GatedCall& call) = 0;
  virtual void Answer(const GatedCall& call, const absl::Status& outcome) = 0;
  virtual void Leave(const GatedCall& call) = 0;

  // Charges an admitted call `bytes` more, for memory that it takes, or says why not:
  // QUOTA_BYTES_IN_FLIGHT. It is no call by itself: nothing is counted or written down.
  // Refund must follow if it is OK, when the memory is free again.
  virtual absl::Status Charge(const GatedCall& call, std::size_t bytes) = 0;
  virtual void Refund(const GatedCall& call, std::size_t bytes) = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_CALL_GATE_H_
