// How many fields a message has, before it is parsed.
#ifndef DROPOUTD_SERVER_SERVICE_FIELD_COUNT_H_
#define DROPOUTD_SERVER_SERVICE_FIELD_COUNT_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>

#include "absl/status/status.h"

namespace dropoutd {

// A field of two bytes may take a hundred once it is parsed; in a message of this size that does
// not matter.
inline constexpr std::size_t kSmallMessage = std::size_t{64} << 10;

// Most fields of a message, those of messages inside of it included.
inline constexpr std::size_t kMostFields = 65'536;

// QUOTA_MESSAGE_BYTES if a message of more than kSmallMessage bytes has more than kMostFields. What
// is no message of the type passes: it does not parse.
absl::Status CheckFieldCount(const grpc::ByteBuffer& message,
                             const google::protobuf::Descriptor& type);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_FIELD_COUNT_H_
