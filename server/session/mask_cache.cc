#include "server/session/mask_cache.h"

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {

absl::Status MaskCache::Reserve(std::size_t byte_size) {
  if (StepCache::Reserve(byte_size)) return absl::OkStatus();
  return MakeError(
      Reason::kQuotaMaskCache,
      absl::StrCat("a mask of ", byte_size, " bytes does not fit the mask cache: ", reserved(),
                   " of ", budget(), " bytes hold masks of sequential generators; release steps"));
}

}  // namespace dropoutd
