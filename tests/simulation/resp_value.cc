#include "tests/simulation/resp_value.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace dropoutd {

RedisValue ToRedisValue(const RespValue& value) {
  using Kind = RedisValue::Kind;
  constexpr Kind kKinds[] = {Kind::kNull,  Kind::kInteger, Kind::kText,
                             Kind::kError, Kind::kText,    Kind::kList};
  RedisValue answer;
  answer.kind = kKinds[static_cast<int>(value.kind)];
  answer.integer = value.integer;
  answer.text = value.text;
  for (const RespValue& each : value.array) answer.list.push_back(ToRedisValue(each));
  return answer;
}

std::string PrintResp(const RespValue& value) {
  switch (value.kind) {
    case RespValue::Kind::kNil:
      return "nil";
    case RespValue::Kind::kInteger:
      return absl::StrCat(value.integer);
    case RespValue::Kind::kStatus:
      return value.text;
    case RespValue::Kind::kError:
      return absl::StrCat("error ", value.text);
    case RespValue::Kind::kBulk:
      return absl::StrCat("\"", absl::CHexEscape(value.text), "\"");
    case RespValue::Kind::kArray:
      break;
  }
  std::string text = "[";
  for (const RespValue& each : value.array) {
    absl::StrAppend(&text, text.size() > 1 ? ", " : "", PrintResp(each));
  }
  return text + "]";
}

}  // namespace dropoutd
