#include "client/convert_time.h"

#include <cstdint>

namespace dropout {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

nanoseconds Saturated(std::int64_t whole_seconds, std::int32_t nanos) {
  // Two seconds short of the end: a malformed `nanos` adds up to 2.1.
  constexpr std::int64_t kMax = std::chrono::floor<seconds>(nanoseconds::max()).count() - 2;
  if (whole_seconds >= kMax) return nanoseconds::max();
  if (whole_seconds <= -kMax) return nanoseconds::min();
  return seconds(whole_seconds) + nanoseconds(nanos);
}

}  // namespace

void ToProto(nanoseconds duration, google::protobuf::Duration* message) {
  const auto whole = std::chrono::duration_cast<seconds>(duration);
  message->set_seconds(whole.count());
  message->set_nanos(static_cast<std::int32_t>((duration - whole).count()));
}

nanoseconds FromProto(const google::protobuf::Duration& message) {
  return Saturated(message.seconds(), message.nanos());
}

std::chrono::system_clock::time_point FromProto(const google::protobuf::Timestamp& message) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          Saturated(message.seconds(), message.nanos())));
}

}  // namespace dropout
