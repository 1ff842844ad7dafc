// A place in the gate.
#ifndef DROPOUTD_SERVER_SERVICE_GATE_PASS_H_
#define DROPOUTD_SERVER_SERVICE_GATE_PASS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Keeps a call's place in the gate.
class GatePass {
 public:
  GatePass(CallGate& gate, std::size_t byte_size)
      : gate_(gate), byte_size_(byte_size), status_(gate.Enter(byte_size)) {}
  ~GatePass() {
    if (status_.ok()) gate_.Leave(byte_size_);
  }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  CallGate& gate_;
  const std::size_t byte_size_;
  const absl::Status status_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_GATE_PASS_H_
