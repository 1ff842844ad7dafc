// Durations and times for people and for machines.
#ifndef DROPOUTD_CLIENT_CLI_DURATION_H_
#define DROPOUTD_CLIENT_CLI_DURATION_H_

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dropout::cli {

// Reads "1h30m", "90s", "1.5h", "250ms": numbers with the units h, m, s, ms, us, ns.
// INVALID_ARGUMENT for anything else, for values below 1 ns and above 292 years.
absl::StatusOr<std::chrono::nanoseconds> ParseDuration(absl::string_view text);

// "1h30m", "59m12s", "250ms". From a minute on without fractions of a second.
std::string FormatDuration(std::chrono::nanoseconds duration);

// "5400s", "0.25s": the text of a protobuf Duration in JSON.
std::string FormatSeconds(std::chrono::nanoseconds duration);

// "2024-05-01 12:03:11 UTC", in the local time zone.
std::string FormatTime(std::chrono::system_clock::time_point time);

// "in 59m12s" or "12s ago", seen from `now`.
std::string FormatRelative(std::chrono::system_clock::time_point time,
                           std::chrono::system_clock::time_point now);

// RFC 3339 in UTC: the text of a protobuf Timestamp in JSON.
std::string FormatTimestamp(std::chrono::system_clock::time_point time);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_DURATION_H_
