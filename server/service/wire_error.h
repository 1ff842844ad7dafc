// The error of bytes that are not a message.
#ifndef DROPOUTD_SERVER_SERVICE_WIRE_ERROR_H_
#define DROPOUTD_SERVER_SERVICE_WIRE_ERROR_H_

#include "absl/status/status.h"
#include "server/base/error.h"

namespace dropoutd {

inline absl::Status DoesNotParse() {
  return MakeError(Reason::kInvalidRequest, "the request does not parse as a message of its type");
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_WIRE_ERROR_H_
