#include "server/base/token.h"

#include "server/base/random_id.h"

namespace dropoutd {
namespace {

void Append(std::uint64_t value, std::string& bytes) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
}

std::uint64_t Read(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

Token Token::Random() {
  Token token;
  while (!token) token = {RandomSeed(), RandomSeed()};
  return token;
}

std::string Token::Bytes() const {
  std::string bytes;
  bytes.reserve(kBytes);
  Append(high, bytes);
  Append(low, bytes);
  return bytes;
}

std::optional<Token> Token::FromBytes(std::string_view bytes) {
  if (bytes.size() != kBytes) return std::nullopt;
  return Token{Read(bytes.substr(0, 8)), Read(bytes.substr(8))};
}

}  // namespace dropoutd
