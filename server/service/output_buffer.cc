#include "server/service/output_buffer.h"

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

namespace dropoutd {
namespace {

constexpr std::size_t kAlignment = 64;

// Below this the allocator is quick enough.
constexpr std::size_t kPooledFrom = std::size_t{32} << 10;

std::byte* AlignUp(const void* place) {
  const auto address = reinterpret_cast<std::uintptr_t>(place);
  return reinterpret_cast<std::byte*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

grpc::Slice OwningSlice(BufferPool::Buffer buffer, std::byte* begin, std::size_t size) {
  auto* const owner = new BufferPool::Buffer(std::move(buffer));
  return grpc::Slice(
      begin, size, [](void* data) { delete static_cast<BufferPool::Buffer*>(data); }, owner);
}

}  // namespace

OutputBuffer::OutputBuffer(BufferPool& pool, std::size_t payload_size)
    : payload_size_(payload_size) {
  if (payload_size > SIZE_MAX / 2) throw std::bad_alloc();
  const std::size_t size = kHeadRoom + payload_size + kTailRoom;
  if (size < kPooledFrom) {
    small_ = grpc::Slice(size + kAlignment - 1);
    data_ = AlignUp(small_.begin());
  } else {
    pooled_ = pool.Take(size);
    data_ = pooled_.data();
  }
}

grpc::ByteBuffer OutputBuffer::Seal(std::string_view head, std::size_t size,
                                    std::string_view tail) && {
  std::byte* const begin = data_ + kHeadRoom - head.size();
  std::memcpy(begin, head.data(), head.size());
  std::size_t total = head.size() + size;
  const bool tail_fits = tail.size() <= kTailRoom + payload_size_ - size;
  if (tail_fits && !tail.empty()) {
    std::memcpy(begin + total, tail.data(), tail.size());
    total += tail.size();
  }
  grpc::Slice slices[2];
  if (pooled_.data() != nullptr) {
    slices[0] = OwningSlice(std::move(pooled_), begin, total);
  } else {
    const auto offset =
        static_cast<std::size_t>(reinterpret_cast<const std::uint8_t*>(begin) - small_.begin());
    slices[0] = small_.sub(offset, offset + total);
  }
  if (tail_fits) return grpc::ByteBuffer(slices, 1);
  slices[1] = grpc::Slice(tail.data(), tail.size());
  return grpc::ByteBuffer(slices, 2);
}

}  // namespace dropoutd
