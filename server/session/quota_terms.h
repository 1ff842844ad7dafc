// What each limit of sessions is of, and what its errors say.
#ifndef DROPOUTD_SERVER_SESSION_QUOTA_TERMS_H_
#define DROPOUTD_SERVER_SESSION_QUOTA_TERMS_H_

#include <cstddef>

#include "server/base/quota.h"
#include "server/session/limits.h"

namespace dropoutd {

QuotaTerms SessionTerms(const Limits& limits);
QuotaTerms StepTerms(const Limits& limits);
QuotaTerms ParameterTerms(const Limits& limits);

// Masks of sequential generators, which stay until their steps are released.
QuotaTerms MaskTerms(std::size_t most, std::size_t most_of_tenant);

// Those of one session or layer. A layer's steps: where none of them can be forgotten.
QuotaTerms LayerTerms(std::size_t most);
QuotaTerms LayerStepTerms(std::size_t most);
QuotaTerms SessionRegionTerms(std::size_t most);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_QUOTA_TERMS_H_
