// Bits of a mask: one an element of the noise, least significant bit of a byte first.
#ifndef DROPOUTD_SERVER_DROPOUT_PACKED_BITS_H_
#define DROPOUTD_SERVER_DROPOUT_PACKED_BITS_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace dropoutd {

// Owns its bytes, which start out uninitialised but for the slack. Move-only. Thread-safe
// while nobody writes.
class PackedBits {
 public:
  explicit PackedBits(std::size_t count)
      : count_(count), bytes_(new std::uint8_t[byte_size() + kSlack]) {
    std::memset(bytes_.get() + byte_size(), 0, kSlack);
  }

  static PackedBits AllKept(std::size_t count) {
    PackedBits bits(count);
    std::fill_n(bits.data(), bits.byte_size(), std::uint8_t{0xFF});
    if (count % 8 != 0) bits.data()[count / 8] = static_cast<std::uint8_t>((1u << count % 8) - 1);
    return bits;
  }

  std::size_t count() const { return count_; }
  std::size_t byte_size() const { return (count_ + 7) / 8; }
  std::uint8_t* data() { return bytes_.get(); }
  const std::uint8_t* data() const { return bytes_.get(); }
  std::string_view bytes() const {
    return {reinterpret_cast<const char*>(bytes_.get()), byte_size()};
  }

  // Bits at .. at + n - 1, n from 0 to 56, in the lowest bits; at + n <= count().
  std::uint64_t Read(std::size_t at, std::size_t n) const {
    std::uint64_t word;
    std::memcpy(&word, bytes_.get() + at / 8, sizeof(word));
    return word >> (at % 8) & ((std::uint64_t{1} << n) - 1);
  }

  // How many of the bits at .. at + n - 1 are 1; at + n <= count().
  std::size_t CountKept(std::size_t at, std::size_t n) const {
    constexpr std::size_t kStride = 56;
    std::size_t kept = 0;
    for (; n > kStride; at += kStride, n -= kStride) {
      kept += static_cast<std::size_t>(std::popcount(Read(at, kStride)));
    }
    return kept + static_cast<std::size_t>(std::popcount(Read(at, n)));
  }

 private:
  static constexpr std::size_t kSlack = 8;  // So that whole words can be read at the end.

  std::size_t count_;
  std::unique_ptr<std::uint8_t[]> bytes_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_PACKED_BITS_H_
