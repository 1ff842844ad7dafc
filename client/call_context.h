// What every call carries besides its request.
#ifndef DROPOUTD_CLIENT_CALL_CONTEXT_H_
#define DROPOUTD_CLIENT_CALL_CONTEXT_H_

#include <grpcpp/client_context.h>

#include <chrono>
#include <optional>
#include <string>

namespace dropout {

// What is left of a call's time; nothing: no limit.
using TimeLeft = std::optional<std::chrono::nanoseconds>;

void SetDeadline(TimeLeft time_left, grpc::ClientContext* context);

// Names the session, for load balancers that keep a session on one server.
void AddSessionMetadata(const std::string& session_id, grpc::ClientContext* context);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CALL_CONTEXT_H_
