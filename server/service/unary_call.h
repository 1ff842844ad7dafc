// Unary calls, from their headers on.
#ifndef DROPOUTD_SERVER_SERVICE_UNARY_CALL_H_
#define DROPOUTD_SERVER_SERVICE_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_service_method.h>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string_view>

#include "absl/status/status.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Answers a call that was admitted: `in` is its request, `out` takes the answer. May overwrite the
// bytes of `in`.
using UnaryHandler = std::function<absl::Status(const GatedCall& call, const grpc::ByteBuffer& in,
                                                grpc::ByteBuffer& out)>;

class UnaryCall;

// The unary calls of a service. gRPC's own handler of unary calls starts when the whole request
// has arrived. This one is registered as that of a stream, which looks the same on the wire and
// starts at the headers: the gate decides before the request is read, and a call that is arriving
// is known. Thread-safe; must outlive the calls.
class UnaryCalls {
 public:
  explicit UnaryCalls(CallGate& gate) : gate_(gate) {}

  // What gRPC runs for each call of `method`, which must outlive the calls. `max_request_bytes`: of
  // a request, when it is inflated.
  std::unique_ptr<grpc::internal::MethodHandler> HandlerOf(std::string_view method,
                                                           std::size_t max_request_bytes,
                                                           UnaryHandler handler);

  // Ends, with DRAINING, the calls whose requests are still arriving.
  void RefuseArriving();

 private:
  friend class UnaryCall;
  using Place = std::list<UnaryCall*>::iterator;

  Place AddArriving(UnaryCall* call);
  void RemoveArriving(Place place);

  CallGate& gate_;
  std::mutex mutex_;
  std::list<UnaryCall*> arriving_;  // Those that wait for their requests.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_UNARY_CALL_H_
