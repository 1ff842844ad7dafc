// Short forms that the session room's tests share and that need no engine.
#ifndef DROPOUTD_TESTS_SESSION_SHORT_FORMS_H_
#define DROPOUTD_TESTS_SESSION_SHORT_FORMS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/error.h"
#include "server/dropout/packed_bits.h"

namespace dropoutd {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// "OK", the reason's name, or the status's own text if it has no reason.
inline std::string ReasonText(const absl::Status& status) {
  if (status.ok()) return "OK";
  const std::optional<Reason> reason = ReasonOf(status);
  return reason.has_value() ? std::string(ReasonName(*reason)) : status.ToString();
}

template <typename T>
std::string ReasonText(const absl::StatusOr<T>& result) {
  return ReasonText(result.status());
}

// A mask of `byte_size` bytes whose bits are all kept.
inline std::shared_ptr<const PackedBits> MakeBits(std::size_t byte_size) {
  return std::make_shared<const PackedBits>(PackedBits::AllKept(8 * byte_size));
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SESSION_SHORT_FORMS_H_
