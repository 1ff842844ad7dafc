#include "server/store/redis_field.h"

#include <openssl/sha.h>

#include <array>
#include <optional>
#include <utility>

#include "server/base/error.h"
#include "server/store/framing.h"

namespace dropoutd {
namespace {

constexpr char kOldFormat = 1;
constexpr char kFieldFormat = 2;
constexpr std::size_t kFieldHead = 1 + Token::kBytes;

absl::Status FieldDamaged() {
  return MakeError(Reason::kStoreCorrupt,
                   "the store's record of the session is damaged; it was set aside");
}

absl::Status FieldNewer() {
  return MakeError(Reason::kStoreFormatNewer,
                   "the store's record of the session was written by a later version");
}

// As token_of in redis_lua_common.cc.
Token OldToken(std::string_view bytes) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return *Token::FromBytes({reinterpret_cast<const char*>(digest.data()), Token::kBytes});
}

absl::StatusOr<std::string> FramedValue(std::string_view name, std::string_view framed) {
  if (IsNewerFrame(framed)) return FieldNewer();
  const auto value = Unframe(name, framed);
  if (!value.has_value()) return FieldDamaged();
  return std::string(*value);
}

}  // namespace

std::string RedisField(Token token, std::string_view name, std::string_view value) {
  std::string bytes(1, kFieldFormat);
  bytes += token.Bytes();
  bytes += Frame(name, value);
  return bytes;
}

std::string RedisFieldRemoved(Token token) { return kFieldFormat + token.Bytes(); }

absl::StatusOr<StoreField> ParseRedisField(std::string_view name, std::string_view bytes,
                                           Token genesis) {
  StoreField field{.name = std::string(name), .value = std::nullopt, .token = Token()};
  if (bytes.empty()) return field;
  if (bytes[0] != kOldFormat && bytes[0] != kFieldFormat) {
    return static_cast<unsigned char>(bytes[0]) > kFieldFormat ? FieldNewer() : FieldDamaged();
  }
  if (bytes[0] == kOldFormat) {
    field.token = OldToken(bytes);
  } else {
    const auto token = Token::FromBytes(bytes.substr(1, Token::kBytes));
    if (!token.has_value()) return FieldDamaged();
    field.token = *token ? *token : genesis;
    bytes.remove_prefix(kFieldHead);
    if (bytes.empty()) return field;
  }
  auto value = FramedValue(name, bytes);
  if (!value.ok()) return value.status();
  field.value = *std::move(value);
  return field;
}

absl::StatusOr<StorePart> ParseRedisPart(std::string_view name, std::string_view bytes) {
  StorePart part{.name = std::string(name), .value = std::nullopt};
  if (bytes.empty()) return part;
  auto value = FramedValue(name, bytes);
  if (!value.ok()) return value.status();
  part.value = *std::move(value);
  return part;
}

}  // namespace dropoutd
