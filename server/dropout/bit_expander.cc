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

void BitExpander::Next(std::size_t count, std::uint8_t* bits) {
  BitWriter writer(bits);
  while (count != 0) {
    const NoiseRun run = runs_.Next(std::min(count, kMaxPiece));
    if (run.repeated) {
      const std::uint64_t ones = (std::uint64_t{1} << run.count) - 1;
      writer.Append(noise_.Read(run.noise_at, 1) != 0 ? ones : 0, run.count);
    } else {
      writer.Append(noise_.Read(run.noise_at, run.count), run.count);
    }
    count -= run.count;
  }
  writer.Flush();
}

}  // namespace dropoutd
