// The place in the gate of one message of a stream.
#ifndef DROPOUTD_SERVER_SERVICE_GATE_PASS_H_
#define DROPOUTD_SERVER_SERVICE_GATE_PASS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Enters when it is made and leaves when it ends; Answered must be called in between.
class GatePass {
 public:
  // `stream` was admitted, and must outlive this.
  GatePass(CallGate& gate, const GatedCall& stream, std::size_t request_bytes) : gate_(gate) {
    call_.method = stream.method;
    call_.context = stream.context;
    call_.request_bytes = request_bytes;
    call_.stream = &stream;
    status_ = gate_.Enter(call_);
  }
  ~GatePass() { gate_.Leave(call_); }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

  const absl::Status& status() const { return status_; }

  // The message's outcome is known, and the client does not know it yet.
  void Answered(const absl::Status& outcome, std::size_t response_bytes) {
    call_.response_bytes = response_bytes;
    gate_.Answer(call_, outcome);
  }

 private:
  CallGate& gate_;
  GatedCall call_;
  absl::Status status_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_GATE_PASS_H_
