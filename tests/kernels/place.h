// Memory for a kernel under test.
#ifndef DROPOUTD_TESTS_KERNELS_PLACE_H_
#define DROPOUTD_TESTS_KERNELS_PLACE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace dropoutd {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::size_t kLine = 64;  // Bytes of a cache line.

// A place with a chosen misalignment, with a cache line of guard on both sides.
class Place {
 public:
  explicit Place(std::size_t capacity)
      : buffer_(new (std::align_val_t{kLine}) Line[Lines(capacity)]),
        size_(Lines(capacity) * kLine) {}

  std::uint8_t* Fill(std::size_t misalignment, const Bytes& contents) {
    std::memset(data(), kGuardByte, size_);
    begin_ = kLine + misalignment;
    end_ = begin_ + contents.size();
    if (!contents.empty()) std::memcpy(data() + begin_, contents.data(), contents.size());
    return data() + begin_;
  }

  bool Holds(const Bytes& contents) const {
    return std::equal(contents.begin(), contents.end(), data() + begin_, data() + end_);
  }

  bool GuardsAreWhole() const {
    const auto is_guard = [](std::uint8_t byte) { return byte == kGuardByte; };
    return std::all_of(data(), data() + begin_, is_guard) &&
           std::all_of(data() + end_, data() + size_, is_guard);
  }

 private:
  static constexpr std::uint8_t kGuardByte = 0xA5;

  struct alignas(kLine) Line {
    std::uint8_t bytes[kLine];
  };
  static std::size_t Lines(std::size_t capacity) { return capacity / kLine + 4; }
  std::uint8_t* data() { return buffer_[0].bytes; }
  const std::uint8_t* data() const { return buffer_[0].bytes; }

  std::unique_ptr<Line[]> buffer_;
  std::size_t size_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_KERNELS_PLACE_H_
