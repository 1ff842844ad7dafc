#include "server/main/gate/gate.h"

#include <string_view>

#include "server/base/random_id.h"
#include "server/base/status_macros.h"
#include "server/main/gate/request_names.h"

namespace dropoutd {
namespace {

std::string_view MetadataOf(const grpc::CallbackServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

Admittance AdmittanceOf(const GatedCall& call, std::size_t bytes) {
  const bool is_stream = call.method == "Exchange" && call.stream == nullptr;
  return {call.tenant, static_cast<std::int64_t>(bytes), is_stream};
}

// A call has the client's name if that is one, so that both can speak of it.
void NameCall(GatedCall& call) {
  if (call.stream != nullptr) {
    call.request_id = call.stream->request_id;
    call.trace_id = call.stream->trace_id;
    return;
  }
  const std::string_view given = MetadataOf(*call.context, kRequestIdMetadata);
  call.request_id = IsRequestId(given) ? std::string(given) : RandomId();
  call.trace_id = std::string(TraceIdOf(MetadataOf(*call.context, kTraceMetadata)));
  call.trailers.emplace_back(kRequestIdMetadata, call.request_id);
}

}  // namespace

absl::Status Gate::Identify(GatedCall& call) const {
  if (call.stream != nullptr) {
    call.tenant = call.stream->tenant;
    return absl::OkStatus();
  }
  DROPOUTD_ASSIGN_OR_RETURN(call.tenant, authenticator_.Authenticate(*call.context));
  return absl::OkStatus();
}

absl::Status Gate::Enter(GatedCall& call) {
  call.start = std::chrono::steady_clock::now();
  NameCall(call);
  if (call.stream == nullptr) {
    call.peer = call.context->peer();
    connections_.CallBegins(call.peer);
  }
  DROPOUTD_RETURN_IF_ERROR(Identify(call));
  DROPOUTD_RETURN_IF_ERROR(admission_.Enter(AdmittanceOf(call, call.request_bytes), call.start));
  call.admitted = true;
  call.charged_bytes = call.request_bytes;
  return absl::OkStatus();
}

void Gate::Leave(const GatedCall& call) {
  if (call.stream == nullptr) connections_.CallEnds(call.peer);
  if (call.admitted) admission_.Leave(AdmittanceOf(call, call.charged_bytes));
}

absl::Status Gate::Charge(const GatedCall& call, std::size_t bytes) {
  return admission_.Charge(call.tenant, static_cast<std::int64_t>(bytes));
}

void Gate::Refund(const GatedCall& call, std::size_t bytes) {
  admission_.Refund(call.tenant, static_cast<std::int64_t>(bytes));
}

void Gate::Answer(const GatedCall& call, const absl::Status& outcome) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - call.start;
  if (monitor_ != nullptr) monitor_->Count(call, outcome, seconds.count());
  log_.Write(call, outcome, seconds.count());
}

}  // namespace dropoutd
