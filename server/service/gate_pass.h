// The place in the gate of one operation of a stream.
#ifndef DROPOUTD_SERVER_SERVICE_GATE_PASS_H_
#define DROPOUTD_SERVER_SERVICE_GATE_PASS_H_

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/status_macros.h"
#include "server/service/call_gate.h"

namespace dropoutd {

// Enters when it is made and leaves when it ends; Answered must be called once in between. What
// may be called by several threads is const.
class GatePass {
 public:
  // `stream` was admitted, and must outlive this, as must what `method` refers to.
  // `request_bytes`: of the operation's first message.
  GatePass(CallGate& gate, const GatedCall& stream, std::string_view method,
           std::size_t request_bytes)
      : gate_(gate) {
    call_.method = method;
    call_.context = stream.context;
    call_.request_bytes = request_bytes;
    call_.stream = &stream;
    status_ = gate_.Enter(call_);
  }
  ~GatePass() { gate_.Leave(call_); }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

  const absl::Status& status() const { return status_; }

  // Hands over the charge of the first message: it is the caller's to refund.
  std::size_t TakeCharge() { return std::exchange(call_.charged_bytes, 0); }

  // Charges a further message of the request. QUOTA_BYTES_IN_FLIGHT.
  absl::Status Charge(std::size_t bytes) {
    call_.request_bytes += bytes;
    return gate_.Charge(call_, bytes);
  }
  // Charges memory that is not of the request. QUOTA_BYTES_IN_FLIGHT.
  absl::Status Reserve(std::size_t bytes) const { return gate_.Charge(call_, bytes); }
  void Refund(std::size_t bytes) const { gate_.Refund(call_, bytes); }

  // The operation's outcome is known, and the client does not know it yet.
  void Answered(const absl::Status& outcome, std::size_t response_bytes) {
    call_.response_bytes = response_bytes;
    gate_.Answer(call_, outcome);
  }

 private:
  CallGate& gate_;
  GatedCall call_;
  absl::Status status_;
};

// Bytes of an admitted operation that are in memory. Refunds them at its end. Not thread-safe, but
// it may end in any thread.
class HeldBytes {
 public:
  // Those of the operation's first message.
  static std::shared_ptr<HeldBytes> OfFirst(std::shared_ptr<GatePass> pass) {
    const std::size_t bytes = pass->TakeCharge();
    return std::make_shared<HeldBytes>(std::move(pass), bytes);
  }

  // Those of a further one. QUOTA_BYTES_IN_FLIGHT.
  static absl::StatusOr<std::shared_ptr<HeldBytes>> OfPiece(std::shared_ptr<GatePass> pass,
                                                            std::size_t bytes) {
    DROPOUTD_RETURN_IF_ERROR(pass->Charge(bytes));
    return std::make_shared<HeldBytes>(std::move(pass), bytes);
  }

  // `bytes` of the pass's were charged, and nobody else refunds them.
  HeldBytes(std::shared_ptr<const GatePass> pass, std::size_t bytes)
      : pass_(std::move(pass)), bytes_(bytes) {}
  ~HeldBytes() { pass_->Refund(bytes_); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

  // Holds `bytes` more. QUOTA_BYTES_IN_FLIGHT.
  absl::Status Grow(std::size_t bytes) {
    DROPOUTD_RETURN_IF_ERROR(pass_->Reserve(bytes));
    bytes_ += bytes;
    return absl::OkStatus();
  }

  // Holds the other's bytes too, in its place.
  void Absorb(HeldBytes& other) { bytes_ += std::exchange(other.bytes_, 0); }

 private:
  const std::shared_ptr<const GatePass> pass_;
  std::size_t bytes_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_GATE_PASS_H_
