// The memory of an answer: a tensor is computed into it, and gRPC sends it as it is.
#ifndef DROPOUTD_SERVER_SERVICE_OUTPUT_BUFFER_H_
#define DROPOUTD_SERVER_SERVICE_OUTPUT_BUFFER_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <string_view>

#include "server/memory/buffer_pool.h"

namespace dropoutd {

// Room for a payload, with room for a message's fields before and behind it. Movable.
class OutputBuffer {
 public:
  // Throws std::bad_alloc. `pool` lends what is large.
  OutputBuffer(BufferPool& pool, std::size_t payload_size);

  // Where the payload goes: aligned to 64 bytes.
  void* payload() { return data_ + kHeadRoom; }
  std::size_t payload_size() const { return payload_size_; }

  // `head` (at most kHeadRoom bytes), the payload's first `size` bytes and `tail` as one
  // message, which owns the memory. A tail that does not fit goes along in a slice of its
  // own.
  grpc::ByteBuffer Seal(std::string_view head, std::size_t size, std::string_view tail) &&;

  static constexpr std::size_t kHeadRoom = 256;
  static constexpr std::size_t kTailRoom = 64;

 private:
  std::size_t payload_size_;
  std::byte* data_ = nullptr;
  BufferPool::Buffer pooled_;  // One of these two holds the memory.
  grpc::Slice small_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_OUTPUT_BUFFER_H_
