#include "server/dropout/bit_expander.h"

#include <algorithm>
#include <cstring>

namespace dropoutd {
namespace {

// Appends bits to bytes, a word at a time.
class BitWriter {
 public:
  explicit BitWriter(std::uint8_t* out) : out_(out) {}

  // The lowest n (0 to 56) bits of `bits`, whose others are 0.
  void Append(std::uint64_t bits, std::size_t n) {
    word_ |= bits << filled_;
    filled_ += n;
    const std::size_t whole = filled_ / 8;
    std::memcpy(out_, &word_, whole);
    out_ += whole;
    word_ = whole == 8 ? 0 : word_ >> (whole * 8);
    filled_ %= 8;
  }

  void Flush() {
    if (filled_ != 0) *out_ = static_cast<std::uint8_t>(word_);
  }

 private:
  std::uint8_t* out_;
  std::uint64_t word_ = 0;
  std::size_t filled_ = 0;  // Below 8 between calls.
};

constexpr std::size_t kMaxPiece = 56;

}  // namespace

BitExpander::BitExpander(const NoiseLayout& layout, const PackedBits& noise) : noise_(noise) {
  for (int i = layout.tensor.rank() - 1; i >= 0; --i) {
    if (layout.tensor[i] != 1) AddAxis(layout.tensor[i], layout.noise[i] == 1);
  }
  if (axis_count_ == 0) AddAxis(1, false);
  std::int64_t stride = 1;
  for (int i = 0; i < axis_count_; ++i) {
    Axis& axis = axes_[static_cast<std::size_t>(i)];
    const bool shared = axis.stride == 0;
    axis.stride = shared ? 0 : stride;
    if (!shared) stride *= axis.size;
  }
}

void BitExpander::AddAxis(std::int64_t size, bool shared) {
  if (axis_count_ != 0) {
    Axis& inner = axes_[static_cast<std::size_t>(axis_count_ - 1)];
    if ((inner.stride == 0) == shared) {
      inner.size *= size;
      return;
    }
  }
  axes_[static_cast<std::size_t>(axis_count_++)] = {size, shared ? 0 : 1, 0};
}

void BitExpander::AdvanceOuter() {
  for (int i = 1; i < axis_count_; ++i) {
    Axis& axis = axes_[static_cast<std::size_t>(i)];
    row_start_ += axis.stride;
    if (++axis.at < axis.size) return;
    row_start_ -= axis.size * axis.stride;
    axis.at = 0;
  }
}

void BitExpander::Next(std::size_t count, std::uint8_t* bits) {
  BitWriter writer(bits);
  Axis& row = axes_[0];
  while (count != 0) {
    const std::size_t n =
        std::min({count, static_cast<std::size_t>(row.size - row.at), kMaxPiece});
    const auto at = static_cast<std::size_t>(row_start_ + row.at * row.stride);
    if (row.stride == 0) {
      const std::uint64_t ones = (std::uint64_t{1} << n) - 1;
      writer.Append(noise_.Read(at, 1) != 0 ? ones : 0, n);
    } else {
      writer.Append(noise_.Read(at, n), n);
    }
    count -= n;
    row.at += static_cast<std::int64_t>(n);
    if (row.at == row.size) {
      row.at = 0;
      AdvanceOuter();
    }
  }
  writer.Flush();
}

}  // namespace dropoutd
