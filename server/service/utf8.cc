#include "server/service/utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dropoutd {
namespace {

// What may follow a first byte: `length` bytes in all, the second in low .. high, the
// others in 80 .. BF.
struct Sequence {
  std::size_t length;
  std::uint8_t low;
  std::uint8_t high;
};

constexpr Sequence kNone = {0, 0, 0};

Sequence SequenceOf(std::uint8_t first) {
  if (first < 0x80) return {1, 0, 0};
  if (first < 0xC2) return kNone;
  if (first < 0xE0) return {2, 0x80, 0xBF};
  if (first == 0xE0) return {3, 0xA0, 0xBF};
  if (first == 0xED) return {3, 0x80, 0x9F};
  if (first < 0xF0) return {3, 0x80, 0xBF};
  if (first == 0xF0) return {4, 0x90, 0xBF};
  if (first < 0xF4) return {4, 0x80, 0xBF};
  if (first == 0xF4) return {4, 0x80, 0x8F};
  return kNone;
}

bool IsContinuation(char c) { return (static_cast<std::uint8_t>(c) & 0xC0) == 0x80; }

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Sequence sequence = SequenceOf(static_cast<std::uint8_t>(text[0]));
    if (sequence.length == 0 || text.size() < sequence.length) return false;
    if (sequence.length > 1) {
      const auto second = static_cast<std::uint8_t>(text[1]);
      if (second < sequence.low || second > sequence.high) return false;
      const std::string_view rest = text.substr(2, sequence.length - 2);
      if (!std::all_of(rest.begin(), rest.end(), IsContinuation)) return false;
    }
    text.remove_prefix(sequence.length);
  }
  return true;
}

}  // namespace dropoutd
