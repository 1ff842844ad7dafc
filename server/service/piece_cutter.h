// Cuts a tensor that arrives in runs of bytes into pieces that a layer can work on.
#ifndef DROPOUTD_SERVER_SERVICE_PIECE_CUTTER_H_
#define DROPOUTD_SERVER_SERVICE_PIECE_CUTTER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace dropoutd {

// Pieces begin at multiples of kBlock elements and are as long, but for the tensor's last.
// They lie where they arrived, but for blocks whose bytes came in two runs: those are
// gathered first. Not thread-safe.
class PieceCutter {
 public:
  static constexpr std::size_t kBlock = 64;  // Elements.

  // For a tensor of `element_count` elements of `element_size` bytes, at most 8.
  PieceCutter(std::size_t element_count, std::size_t element_size)
      : element_size_(element_size),
        block_bytes_(kBlock * element_size),
        bytes_left_(element_count * element_size) {}

  // Bytes of the tensor that have not arrived.
  std::size_t bytes_left() const { return bytes_left_; }

  // Bytes of the pieces that Feed will call for if the next `size` bytes are fed to it.
  std::size_t ReadyBytes(std::size_t size) const {
    const std::size_t here = held_bytes_ + size;
    return size == bytes_left_ ? here : here - here % block_bytes_;
  }

  // Takes the next bytes, at most bytes_left(); calls run(begin, n, x) for the elements
  // begin .. begin + n - 1, at x, of each piece that they complete, in order.
  template <typename Run>
  void Feed(std::string_view bytes, Run run) {
    if (held_bytes_ != 0) {
      Hold(bytes, std::min(block_bytes_ - held_bytes_, bytes.size()));
      if (held_bytes_ < block_bytes_ && bytes_left_ != 0) return;
      Emit(held_.data(), held_bytes_, run);
      held_bytes_ = 0;
    }
    const std::size_t whole =
        bytes.size() == bytes_left_ ? bytes.size() : bytes.size() - bytes.size() % block_bytes_;
    if (whole != 0) {
      bytes_left_ -= whole;
      Emit(bytes.data(), whole, run);
      bytes.remove_prefix(whole);
    }
    Hold(bytes, bytes.size());
  }

 private:
  void Hold(std::string_view& bytes, std::size_t size) {
    if (size == 0) return;
    std::memcpy(held_.data() + held_bytes_, bytes.data(), size);
    held_bytes_ += size;
    bytes_left_ -= size;
    bytes.remove_prefix(size);
  }

  template <typename Run>
  void Emit(const char* x, std::size_t size, Run& run) {
    const std::size_t n = size / element_size_;
    run(begin_, n, static_cast<const void*>(x));
    begin_ += n;
  }

  const std::size_t element_size_;
  const std::size_t block_bytes_;
  std::size_t bytes_left_;
  std::size_t begin_ = 0;  // First element that no piece has had.
  std::size_t held_bytes_ = 0;
  std::array<char, kBlock * 8> held_;  // The beginning of a block whose end is to come.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SERVICE_PIECE_CUTTER_H_
