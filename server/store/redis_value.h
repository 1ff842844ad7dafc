// An answer of Redis.
#ifndef DROPOUTD_SERVER_STORE_REDIS_VALUE_H_
#define DROPOUTD_SERVER_STORE_REDIS_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dropoutd {

// A value as the protocol (RESP2) has it.
struct RedisValue {
  enum class Kind { kNull, kInteger, kText, kList, kError };

  Kind kind = Kind::kNull;
  std::int64_t integer = 0;
  std::string text;  // Of a text, a simple status or an error; any bytes.
  std::vector<RedisValue> list;

  bool is_error() const { return kind == Kind::kError; }

  // The word that an error begins with, for example OOM, MOVED or READONLY; what follows may quote
  // a key. Empty if it is none.
  std::string_view ErrorWord() const {
    return is_error() ? std::string_view(text).substr(0, text.find(' ')) : std::string_view();
  }
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_VALUE_H_
