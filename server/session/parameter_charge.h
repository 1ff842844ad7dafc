// What a layer's parameters cost the server.
#ifndef DROPOUTD_SERVER_SESSION_PARAMETER_CHARGE_H_
#define DROPOUTD_SERVER_SESSION_PARAMETER_CHARGE_H_

#include <cstddef>

#include "absl/status/status.h"
#include "server/session/step_book.h"

namespace dropoutd {

// Bytes that are counted in the budget until this goes, whichever way it goes. Not thread-safe; the
// budget is.
class ParameterCharge {
 public:
  // The budget must outlive it.
  explicit ParameterCharge(StepBudget& budget) : budget_(budget) {}
  ~ParameterCharge() { budget_.parameter_bytes -= bytes_; }
  ParameterCharge(const ParameterCharge&) = delete;
  ParameterCharge& operator=(const ParameterCharge&) = delete;

  std::size_t bytes() const { return bytes_; }

  // QUOTA_PARAMETER_BYTES, with nothing changed, if more bytes than there were do not fit. Fewer
  // always do.
  absl::Status Resize(std::size_t bytes);

  // Takes over what `other` has charged.
  void Take(ParameterCharge& other) {
    bytes_ += other.bytes_;
    other.bytes_ = 0;
  }

 private:
  StepBudget& budget_;
  std::size_t bytes_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_PARAMETER_CHARGE_H_
