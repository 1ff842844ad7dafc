// Chooses how a Forward or Backward travels.
#ifndef DROPOUTD_CLIENT_STEP_TRANSPORTS_H_
#define DROPOUTD_CLIENT_STEP_TRANSPORTS_H_

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "client/shared_regions.h"
#include "client/step_call.h"
#include "client/stream_call.h"
#include "dropout/client.h"

namespace dropout {

// Whether a server at `address` can only be on this host.
bool IsLocalAddress(const std::string& address);

// Thread-safe. Refers to `connection`, which must outlive it.
class StepTransports {
 public:
  StepTransports(const std::string& address, const ClientOptions& options, Connection& connection,
                 SharedRegions::Create create, SharedRegions::Delete remove);

  // Sends the call once, by the transport of the options.
  absl::StatusOr<StepAnswer> Call(const StepCall& call, TimeLeft time_left);

  SharedRegions& regions() { return regions_; }

 private:
  absl::StatusOr<StepAnswer> CallAuto(const StepCall& call, TimeLeft time_left);

  const Transport transport_;
  Connection& connection_;
  StreamTransport streams_;
  SharedRegions regions_;
  std::atomic<bool> try_shared_;  // kAuto: worth asking the server for shared memory.
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_STEP_TRANSPORTS_H_
