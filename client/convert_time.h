// protobuf's durations and timestamps to std::chrono's and back.
#ifndef DROPOUTD_CLIENT_CONVERT_TIME_H_
#define DROPOUTD_CLIENT_CONVERT_TIME_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <chrono>

namespace dropout {

void ToProto(std::chrono::nanoseconds duration, google::protobuf::Duration* message);

// std::chrono spans 292 years to either side; what lies outside becomes its end.
std::chrono::nanoseconds FromProto(const google::protobuf::Duration& message);
std::chrono::system_clock::time_point FromProto(const google::protobuf::Timestamp& message);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CONVERT_TIME_H_
