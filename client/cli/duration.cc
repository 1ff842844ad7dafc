#include "client/cli/duration.h"

#include <cstdint>
#include <cstdlib>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace dropout::cli {

absl::StatusOr<std::chrono::nanoseconds> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a duration; write it as 1h30m, 90s or 250ms"));
  }
  if (duration < absl::Nanoseconds(1) ||
      duration > absl::Nanoseconds(std::numeric_limits<std::int64_t>::max())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the duration ", text, " is not between 1ns and 292 years"));
  }
  return absl::ToChronoNanoseconds(duration);
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const absl::Duration value = absl::FromChrono(duration);
  if (absl::AbsDuration(value) < absl::Minutes(1)) return absl::FormatDuration(value);
  return absl::FormatDuration(absl::Trunc(value, absl::Seconds(1)));
}

std::string FormatSeconds(std::chrono::nanoseconds duration) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t count = duration.count();
  std::string text = absl::StrCat(count < 0 ? "-" : "", std::abs(count / kSecond));
  const std::int64_t nanos = std::abs(count % kSecond);
  if (nanos != 0) {
    std::string fraction = absl::StrCat(absl::Dec(nanos, absl::kZeroPad9));
    fraction.erase(fraction.find_last_not_of('0') + 1);
    absl::StrAppend(&text, ".", fraction);
  }
  return text + "s";
}

std::string FormatTime(std::chrono::system_clock::time_point time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %Z", absl::FromChrono(time), absl::LocalTimeZone());
}

std::string FormatRelative(std::chrono::system_clock::time_point time,
                           std::chrono::system_clock::time_point now) {
  const absl::Duration exact = absl::FromChrono(time) - absl::FromChrono(now);
  const absl::Duration left = absl::Floor(exact + absl::Milliseconds(500), absl::Seconds(1));
  if (left < absl::ZeroDuration()) return absl::StrCat(absl::FormatDuration(-left), " ago");
  return absl::StrCat("in ", left == absl::ZeroDuration() ? "0s" : absl::FormatDuration(left));
}

std::string FormatTimestamp(std::chrono::system_clock::time_point time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", absl::FromChrono(time), absl::UTCTimeZone());
}

}  // namespace dropout::cli
