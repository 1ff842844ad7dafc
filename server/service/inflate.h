// Messages that a client has compressed.
#ifndef DROPOUTD_SERVER_SERVICE_INFLATE_H_
#define DROPOUTD_SERVER_SERVICE_INFLATE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace dropoutd {

// The encodings that messages may have, as in grpc-accept-encoding.
inline constexpr char kAcceptedEncodings[] = "identity,gzip";

// Inflates `message` if it came compressed by gzip; what is not compressed stays as it is.
// `charge` is asked for each piece of memory before that is taken, and its error ends it; the
// charges are the caller's to refund. QUOTA_MESSAGE_BYTES past `most` bytes, INVALID_REQUEST for
// bytes that are not one gzip member, COMPRESSION_UNSUPPORTED for other encodings. Throws
// std::bad_alloc.
absl::Status Inflate(grpc::ByteBuffer& message, std::size_t most,
                     absl::FunctionRef<absl::Status(std::size_t)> charge);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_INFLATE_H_
