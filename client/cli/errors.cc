#include "client/cli/errors.h"

#include "dropout/client.h"

namespace dropout::cli {

void CheckCall(const absl::Status& status) {
  if (status.ok()) return;
  throw CallError(absl::StatusCodeToString(status.code()), ErrorReason(status),
                  std::string(status.message()));
}

}  // namespace dropout::cli
