#include "client/call_context.h"

#include "client/session_id.h"

namespace dropout {

void SetDeadline(TimeLeft time_left, grpc::ClientContext* context) {
  if (!time_left.has_value()) return;
  context->set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                     gpr_time_from_nanos(time_left->count(), GPR_TIMESPAN)));
}

void AddSessionMetadata(const std::string& session_id, grpc::ClientContext* context) {
  // Only what the server would take: gRPC aborts on bytes that a header cannot have.
  if (IsValidSessionId(session_id)) context->AddMetadata("x-session-id", session_id);
}

}  // namespace dropout
