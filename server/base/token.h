// Random names: of a change, of what it wrote, of a session.
#ifndef DROPOUTD_SERVER_BASE_TOKEN_H_
#define DROPOUTD_SERVER_BASE_TOKEN_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dropoutd {

// 128 random bits, compared for equality alone: unlike a count, no two writers ever pick the same.
// The default one is none.
struct Token {
  static constexpr std::size_t kBytes = 16;

  std::uint64_t high = 0;
  std::uint64_t low = 0;

  // Never none.
  static Token Random();

  // kBytes bytes, big-endian, and back; nothing unless there are so many.
  std::string Bytes() const;
  static std::optional<Token> FromBytes(std::string_view bytes);

  explicit operator bool() const { return (high | low) != 0; }
  friend auto operator<=>(const Token&, const Token&) = default;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_TOKEN_H_
