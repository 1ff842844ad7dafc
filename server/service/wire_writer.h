// Writes the small fields that stand before a tensor's bytes, in protobuf's wire format.
#ifndef DROPOUTD_SERVER_SERVICE_WIRE_WRITER_H_
#define DROPOUTD_SERVER_SERVICE_WIRE_WRITER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "server/service/wire_reader.h"

namespace dropoutd {

// Bytes of `value` as a varint.
constexpr std::size_t VarintSize(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// At most kCapacity bytes, which the caller sees to. Not thread-safe.
class WireWriter {
 public:
  static constexpr std::size_t kCapacity = 256;

  std::string_view bytes() const { return {bytes_.data(), size_}; }
  std::size_t size() const { return size_; }

  void Varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_[size_++] = static_cast<char>(value | 0x80);
    bytes_[size_++] = static_cast<char>(value);
  }

  void VarintField(std::uint32_t number, std::uint64_t value) {
    Varint(WireTag(number, kVarint));
    Varint(value);
  }

  // The head of a field of `size` bytes that follow.
  void DelimitedHead(std::uint32_t number, std::uint64_t size) {
    Varint(WireTag(number, kLengthDelimited));
    Varint(size);
  }

  void Raw(std::string_view bytes) {
    std::memcpy(bytes_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }

 private:
  std::array<char, kCapacity> bytes_;
  std::size_t size_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_WIRE_WRITER_H_
