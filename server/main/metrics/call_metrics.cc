#include "server/main/metrics/call_metrics.h"

#include "server/base/error.h"
#include "server/main/metrics/latency_buckets.h"
#include "server/service/descriptor.h"

namespace dropoutd {
namespace {

constexpr char kOther[] = "other";

template <typename Builder>
auto& Register(Builder builder, prometheus::Registry& registry, const char* name,
               const char* help) {
  return builder.Name(name).Help(help).Register(registry);
}

}  // namespace

CallMetrics::CallMetrics(prometheus::Registry& registry)
    : calls_(Register(prometheus::BuildCounter(), registry, "dropoutd_calls_total",
                      "Calls and operations of streams that have ended, by RPC and gRPC code")),
      seconds_(Register(prometheus::BuildHistogram(), registry, "dropoutd_call_seconds",
                        "Time from a request's arrival to its answer's readiness")),
      request_bytes_(Register(prometheus::BuildCounter(), registry, "dropoutd_request_bytes_total",
                              "Bytes of requests")),
      response_bytes_(Register(prometheus::BuildCounter(), registry,
                               "dropoutd_response_bytes_total", "Bytes of answers")),
      errors_(Register(prometheus::BuildCounter(), registry, "dropoutd_errors_total",
                       "Calls that failed, by reason")) {
  const google::protobuf::ServiceDescriptor& service = ContractService();
  for (int i = 0; i < service.method_count(); ++i) AddMethod(service.method(i)->name());
  for (const char* const name : {"Exchange.Forward", "Exchange.Backward", kOther}) AddMethod(name);
}

void CallMetrics::AddMethod(const std::string& name) {
  Method& method = methods_[name];
  method.seconds = &seconds_.Add({{"method", name}}, LatencyBuckets());
  method.request_bytes = &request_bytes_.Add({{"method", name}});
  method.response_bytes = &response_bytes_.Add({{"method", name}});
}

CallMetrics::Method& CallMetrics::MethodOf(std::string_view name) {
  const auto found = methods_.find(name);
  return found != methods_.end() ? found->second : methods_.find(std::string_view(kOther))->second;
}

void CallMetrics::Count(const GatedCall& call, const absl::Status& outcome, double seconds) {
  Method& method = MethodOf(call.method);
  method.seconds->Observe(seconds);
  method.request_bytes->Increment(static_cast<double>(call.request_bytes));
  method.response_bytes->Increment(static_cast<double>(call.response_bytes));
  const auto code = static_cast<std::size_t>(outcome.raw_code());
  std::atomic<prometheus::Counter*>& slot = method.by_code[code < kCodes ? code : 2];
  prometheus::Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    // Two threads that come here at once get the same series.
    counter = &calls_.Add(
        {{"method", std::string(call.method)}, {"code", absl::StatusCodeToString(outcome.code())}});
    slot.store(counter, std::memory_order_release);
  }
  counter->Increment();
  if (!outcome.ok()) {
    const auto reason = ReasonOf(outcome);
    errors_.Add({{"reason", reason.has_value() ? std::string(ReasonName(*reason)) : ""}})
        .Increment();
  }
}

}  // namespace dropoutd
