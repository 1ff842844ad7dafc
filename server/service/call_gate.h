// Who may come in: the place where the service asks before it works on a call.
#ifndef DROPOUTD_SERVER_SERVICE_CALL_GATE_H_
#define DROPOUTD_SERVER_SERVICE_CALL_GATE_H_

#include <cstddef>

#include "absl/status/status.h"

namespace dropoutd {

// Thread-safe.
class CallGate {
 public:
  virtual ~CallGate() = default;

  // Admits a call whose request has `byte_size` bytes, or says why not (DRAINING,
  // QUOTA_BYTES_IN_FLIGHT). Leave must follow with the same size once it is admitted.
  virtual absl::Status Enter(std::size_t byte_size) = 0;
  virtual void Leave(std::size_t byte_size) = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_CALL_GATE_H_
