#include "server/store/redis_answer.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/store/redis_field.h"
#include "server/store/redis_scripts.h"

namespace dropoutd {

absl::Status RedisNotThere() { return absl::NotFoundError("the store has no such session"); }

absl::Status RedisDamaged() {
  return MakeError(Reason::kStoreCorrupt,
                   "the store's record of the session is damaged; it was set aside");
}

absl::Status RedisNonsense() { return RedisUnavailable("the answer makes no sense"); }

std::string_view TextAt(const RedisValue& answer, std::size_t index) {
  return index < answer.list.size() ? std::string_view(answer.list[index].text)
                                    : std::string_view();
}

std::int64_t NumberAt(const RedisValue& answer, std::size_t index) {
  return index < answer.list.size() ? answer.list[index].integer : 0;
}

Token TokenAt(const RedisValue& answer, std::size_t index) {
  return Token::FromBytes(TextAt(answer, index)).value_or(Token());
}

const std::vector<RedisValue>& ListAt(const RedisValue& answer, std::size_t index) {
  static const std::vector<RedisValue>* const none = new std::vector<RedisValue>();
  return index < answer.list.size() ? answer.list[index].list : *none;
}

absl::Status SetAsideFor(const absl::Status& damage, const RedisKeys& keys, Token incarnation,
                         Token token, RedisCaller& caller) {
  if (ReasonOf(damage) != Reason::kStoreCorrupt) return damage;
  RedisCall call;
  call.bucket = keys.bucket;
  call.script = &Scripts().set_aside;
  call.keys = {keys.d};
  call.arguments = {incarnation.Bytes(), token.Bytes(), Token::Random().Bytes()};
  call.is_write = true;
  DROPOUTD_RETURN_IF_ERROR(caller.Run(call).status());
  return damage;
}

absl::StatusOr<RedisSession> ParseRedisSession(const RedisValue& answer,
                                               const std::vector<std::string>& fields,
                                               const RedisKeys& keys, RedisCaller& caller) {
  if (WordOf(answer) == "none") return RedisNotThere();
  if (WordOf(answer) == "bad") return RedisDamaged();
  const std::vector<RedisValue>& parts = ListAt(answer, 7);
  const std::vector<RedisValue>& values = ListAt(answer, 8);
  if (WordOf(answer) != "ok" || values.size() != fields.size()) return RedisNonsense();
  RedisSession session;
  StoreAnswer& found = session.answer;
  found.incarnation = TokenAt(answer, 2);
  found.token = TokenAt(answer, 3);
  found.left = std::chrono::milliseconds(NumberAt(answer, 4));
  found.is_whole = NumberAt(answer, 5) != 0;
  session.genesis = TokenAt(answer, 6);
  for (std::size_t i = 0; i + 1 < parts.size(); i += 2) {
    auto part = ParseRedisPart(parts[i].text, parts[i + 1].text);
    if (!part.ok()) {
      return SetAsideFor(part.status(), keys, found.incarnation, found.token, caller);
    }
    found.parts.push_back(*std::move(part));
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto field = ParseRedisField(fields[i], values[i].text, session.genesis);
    if (!field.ok()) {
      return SetAsideFor(field.status(), keys, found.incarnation, found.token, caller);
    }
    found.fields.push_back(*std::move(field));
  }
  return session;
}

}  // namespace dropoutd
