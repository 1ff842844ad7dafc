// The gate of a running server: who calls, whether there is room, and what is written down.
#ifndef DROPOUTD_SERVER_MAIN_GATE_GATE_H_
#define DROPOUTD_SERVER_MAIN_GATE_GATE_H_

#include "server/main/auth/authenticator.h"
#include "server/main/gate/admission.h"
#include "server/main/gate/call_log.h"
#include "server/main/listen/connection_table.h"
#include "server/main/metrics/monitor.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Refers to its parts, which must outlive it. Thread-safe.
class Gate final : public CallGate {
 public:
  // `monitor` may be null: then nothing is counted.
  Gate(const Authenticator& authenticator, Admission& admission, Monitor* monitor,
       ConnectionTable& connections)
      : authenticator_(authenticator),
        admission_(admission),
        monitor_(monitor),
        connections_(connections) {}

  absl::Status Enter(GatedCall& call) override;
  void Answer(const GatedCall& call, const absl::Status& outcome) override;
  void Leave(const GatedCall& call) override;
  absl::Status Charge(const GatedCall& call, std::size_t bytes) override;
  void Refund(const GatedCall& call, std::size_t bytes) override;

 private:
  absl::Status Identify(GatedCall& call) const;

  const Authenticator& authenticator_;
  Admission& admission_;
  Monitor* const monitor_;
  ConnectionTable& connections_;
  CallLog log_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_GATE_GATE_H_
