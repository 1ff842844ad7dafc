#include "server/session/quota_terms.h"

#include "server/base/error.h"

namespace dropoutd {

QuotaTerms SessionTerms(const Limits& limits) {
  return {.reason = Reason::kQuotaSessions,
          .things = "sessions",
          .flag = "max_sessions",
          .most = limits.max_sessions,
          .most_of_tenant = limits.tenant_max_sessions,
          .remedy = "delete sessions"};
}

QuotaTerms StepTerms(const Limits& limits) {
  return {.reason = Reason::kQuotaSteps,
          .things = "step records",
          .flag = "max_steps",
          .most = limits.max_steps,
          .most_of_tenant = limits.tenant_max_steps,
          .remedy = "release steps"};
}

QuotaTerms ParameterTerms(const Limits& limits) {
  return {.reason = Reason::kQuotaParameterBytes,
          .things = "bytes of parameters",
          .flag = "max_parameter_bytes",
          .most = limits.max_parameter_bytes,
          .most_of_tenant = limits.tenant_max_parameter_bytes,
          .remedy = "delete layers or sessions"};
}

QuotaTerms MaskTerms(std::size_t most, std::size_t most_of_tenant) {
  return {.reason = Reason::kQuotaMaskCache,
          .things = "bytes of masks of sequential generators",
          .flag = "mask_cache_bytes",
          .most = most,
          .most_of_tenant = most_of_tenant,
          .remedy = "release steps"};
}

QuotaTerms LayerTerms(std::size_t most) {
  return {.reason = Reason::kQuotaLayers,
          .things = "layers",
          .flag = "max_layers_per_session",
          .most = most,
          .remedy = "delete layers",
          .holder = "the session has"};
}

QuotaTerms LayerStepTerms(std::size_t most) {
  return {.reason = Reason::kQuotaSteps,
          .things = "step records of a sequential generator",
          .flag = "max_steps_per_layer",
          .most = most,
          .remedy = "release steps",
          .holder = "the layer has"};
}

QuotaTerms SessionRegionTerms(std::size_t most) {
  return {.reason = Reason::kQuotaSharedMemory,
          .things = "regions of shared memory",
          .most = most,
          .remedy = "delete regions",
          .holder = "the session has"};
}

}  // namespace dropoutd
