#include "server/main/admission.h"

#include "absl/strings/str_cat.h"
#include "server/base/error.h"

namespace dropoutd {

absl::Status Admission::Enter(std::size_t byte_size) {
  if (draining_) {
    return MakeError(Reason::kDraining, "the server is shutting down; try again elsewhere");
  }
  const std::size_t before = bytes_.fetch_add(byte_size);
  if (before + byte_size > max_bytes_) {
    bytes_.fetch_sub(byte_size);
    return MakeError(Reason::kQuotaBytesInFlight,
                     absl::StrCat("requests in flight hold ", before, " bytes, this one has ",
                                  byte_size, ", the most allowed is ", max_bytes_));
  }
  return absl::OkStatus();
}

void Admission::Leave(std::size_t byte_size) { bytes_.fetch_sub(byte_size); }

}  // namespace dropoutd
