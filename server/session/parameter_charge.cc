#include "server/session/parameter_charge.h"

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {

absl::Status ParameterCharge::Resize(std::size_t bytes) {
  std::atomic<std::size_t>& total = budget_.parameter_bytes;
  std::size_t seen = total;
  while (true) {
    const std::size_t others = seen - bytes_;
    if (bytes > bytes_ &&
        (others > budget_.max_parameter_bytes || bytes > budget_.max_parameter_bytes - others)) {
      return MakeError(
          Reason::kQuotaParameterBytes,
          absl::StrCat("parameters of ", bytes, " bytes do not fit, the server holds ", others,
                       " bytes of others, the most allowed is ", budget_.max_parameter_bytes));
    }
    if (total.compare_exchange_weak(seen, others + bytes)) break;
  }
  bytes_ = bytes;
  return absl::OkStatus();
}

}  // namespace dropoutd
