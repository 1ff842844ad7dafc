// gRPC's C structure in a grpc::ByteBuffer.
#ifndef DROPOUTD_SERVER_SERVICE_RAW_BUFFER_H_
#define DROPOUTD_SERVER_SERVICE_RAW_BUFFER_H_

#include <grpc/byte_buffer.h>
#include <grpcpp/support/byte_buffer.h>

#include <type_traits>

namespace dropoutd {

// A ByteBuffer is a pointer to the structure and nothing else: its header promises it, and its
// users in gRPC rest on it.
static_assert(std::is_standard_layout_v<grpc::ByteBuffer>);
static_assert(sizeof(grpc::ByteBuffer) == sizeof(grpc_byte_buffer*));

inline grpc_byte_buffer* RawBuffer(const grpc::ByteBuffer& buffer) {
  return *reinterpret_cast<grpc_byte_buffer* const*>(&buffer);
}

// Where to put a structure that an empty `buffer` shall own.
inline grpc_byte_buffer** RawBufferPlace(grpc::ByteBuffer& buffer) {
  return reinterpret_cast<grpc_byte_buffer**>(&buffer);
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_RAW_BUFFER_H_
