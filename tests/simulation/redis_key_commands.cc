// Commands on keys of any kind, and on strings.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "tests/simulation/redis_data.h"
#include "tests/simulation/redis_words.h"

namespace dropoutd {
namespace {

RespValue Del(RedisData& data, const RespWords& words) {
  std::int64_t gone = 0;
  for (std::size_t i = 1; i < words.size(); ++i) gone += data.Erase(words[i]);
  return RespValue::Integer(gone);
}

RespValue Exists(RedisData& data, const RespWords& words) {
  std::int64_t there = 0;
  for (std::size_t i = 1; i < words.size(); ++i) there += data.Has(words[i]);
  return RespValue::Integer(there);
}

RespValue Type(RedisData& data, const RespWords& words) {
  return RespValue::Status(std::string(data.TypeOf(words[1])));
}

// `unit`: milliseconds a unit of the argument. `is_absolute`: of the clock, and not from now.
RespValue ExpireAt(RedisData& data, const RespWords& words, std::int64_t unit, bool is_absolute) {
  const auto amount = ReadInteger(words[2]);
  if (!amount) return NotAnInteger();
  std::int64_t when = 0;
  if (__builtin_mul_overflow(*amount, unit, &when) ||
      __builtin_add_overflow(when, is_absolute ? 0 : data.now(), &when)) {
    return RespValue::Error("ERR invalid expire time");
  }
  if (!data.Has(words[1])) return RespValue::Integer(0);
  if (words.size() > 4) return SyntaxError();
  const std::int64_t old = data.Expiry(words[1]);
  if (words.size() == 4) {
    const std::string option = UpperCase(words[3]);
    const std::int64_t end = old == 0 ? std::numeric_limits<std::int64_t>::max() : old;
    if (option == "NX" ? old != 0
                       : (option == "XX"   ? old == 0
                          : option == "GT" ? when <= end
                          : option == "LT" ? when >= end
                                           : false)) {
      return RespValue::Integer(0);
    }
    if (option != "NX" && option != "XX" && option != "GT" && option != "LT") {
      return RespValue::Error("ERR Unsupported option " + words[3]);
    }
  }
  // 0 means none to us, and long ago to Redis.
  data.SetExpiry(words[1], when == 0 ? -1 : when);
  return RespValue::Integer(1);
}

RespValue Expire(RedisData& data, const RespWords& words) {
  return ExpireAt(data, words, 1000, false);
}
RespValue Pexpire(RedisData& data, const RespWords& words) {
  return ExpireAt(data, words, 1, false);
}
RespValue ExpireAtSeconds(RedisData& data, const RespWords& words) {
  return ExpireAt(data, words, 1000, true);
}
RespValue PexpireAt(RedisData& data, const RespWords& words) {
  return ExpireAt(data, words, 1, true);
}

RespValue Persist(RedisData& data, const RespWords& words) {
  if (data.Expiry(words[1]) == 0) return RespValue::Integer(0);
  data.SetExpiry(words[1], 0);
  return RespValue::Integer(1);
}

RespValue Pttl(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Integer(-2);
  const std::int64_t expiry = data.Expiry(words[1]);
  return RespValue::Integer(expiry == 0 ? -1 : std::max<std::int64_t>(0, expiry - data.now()));
}

RespValue Ttl(RedisData& data, const RespWords& words) {
  const RespValue left = Pttl(data, words);
  return RespValue::Integer(left.integer < 0 ? left.integer : (left.integer + 500) / 1000);
}

RespValue PexpireTime(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Integer(-2);
  const std::int64_t expiry = data.Expiry(words[1]);
  return RespValue::Integer(expiry == 0 ? -1 : expiry);
}

RespValue Rename(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Error("ERR no such key");
  if (words[1] != words[2]) data.Rename(words[1], words[2]);
  return RespValue::Status("OK");
}

RespValue Renamenx(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Error("ERR no such key");
  if (data.Has(words[2])) return RespValue::Integer(0);
  data.Rename(words[1], words[2]);
  return RespValue::Integer(1);
}

RespValue Copy(RedisData& data, const RespWords& words) {
  const bool replaces = words.size() == 4 && UpperCase(words[3]) == "REPLACE";
  if (words.size() > 3 && !replaces) return SyntaxError();
  if (words[1] == words[2]) {
    return RespValue::Error("ERR source and destination objects are the same");
  }
  if (!data.Has(words[1]) || (data.Has(words[2]) && !replaces)) return RespValue::Integer(0);
  data.Copy(words[1], words[2]);
  return RespValue::Integer(1);
}

RespValue Get(RedisData& data, const RespWords& words) {
  const auto* const value = data.Get<std::string>(words[1]);
  return value == nullptr ? RespValue::Nil() : RespValue::Bulk(*value);
}

RespValue Strlen(RedisData& data, const RespWords& words) {
  const auto* const value = data.Get<std::string>(words[1]);
  return RespValue::Integer(value == nullptr ? 0 : static_cast<std::int64_t>(value->size()));
}

RespValue Mget(RedisData& data, const RespWords& words) {
  RespValue answer = RespValue::Array();
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto* const value = data.Get<std::string>(words[i]);
    answer.array.push_back(value == nullptr ? RespValue::Nil() : RespValue::Bulk(*value));
  }
  return answer;
}

struct SetOptions {
  bool if_absent = false;
  bool if_present = false;
  bool keeps_expiry = false;
  std::int64_t expiry = 0;
};

// Nothing, and the error, if they are wrong.
std::optional<SetOptions> ReadSetOptions(const RedisData& data, const RespWords& words,
                                         RespValue& error) {
  SetOptions options;
  error = SyntaxError();
  for (std::size_t i = 3; i < words.size(); ++i) {
    const std::string option = UpperCase(words[i]);
    const bool is_time = option == "EX" || option == "PX" || option == "EXAT" || option == "PXAT";
    if (option == "NX") {
      options.if_absent = true;
    } else if (option == "XX") {
      options.if_present = true;
    } else if (option == "KEEPTTL") {
      options.keeps_expiry = true;
    } else if (is_time && i + 1 < words.size()) {
      const auto amount = ReadInteger(words[++i]);
      if (!amount || *amount <= 0) {
        error =
            amount ? RespValue::Error("ERR invalid expire time in 'set' command") : NotAnInteger();
        return std::nullopt;
      }
      options.expiry =
          *amount * (option[0] == 'E' ? 1000 : 1) + (option.size() == 2 ? data.now() : 0);
    } else {
      return std::nullopt;
    }
  }
  if ((options.if_absent && options.if_present) || (options.keeps_expiry && options.expiry != 0)) {
    return std::nullopt;
  }
  return options;
}

RespValue SetValue(RedisData& data, const RespWords& words) {
  RespValue error;
  const auto options = ReadSetOptions(data, words, error);
  if (!options) return error;
  const bool there = data.Has(words[1]);
  if (there ? options->if_absent : options->if_present) return RespValue::Nil();
  data.Make<std::string>(words[1]) = words[2];
  if (!options->keeps_expiry) data.SetExpiry(words[1], options->expiry);
  return RespValue::Status("OK");
}

RespValue Add(RedisData& data, const std::string& key, std::int64_t amount) {
  const auto* const old = data.Get<std::string>(key);
  const auto value = old == nullptr ? std::optional<std::int64_t>(0) : ReadInteger(*old);
  if (!value) return NotAnInteger();
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*value, amount, &sum)) {
    return RespValue::Error("ERR increment or decrement would overflow");
  }
  data.Make<std::string>(key) = std::to_string(sum);
  return RespValue::Integer(sum);
}

RespValue Incr(RedisData& data, const RespWords& words) { return Add(data, words[1], 1); }
RespValue Decr(RedisData& data, const RespWords& words) { return Add(data, words[1], -1); }
RespValue Incrby(RedisData& data, const RespWords& words) {
  const auto amount = ReadInteger(words[2]);
  return amount ? Add(data, words[1], *amount) : NotAnInteger();
}
RespValue Decrby(RedisData& data, const RespWords& words) {
  const auto amount = ReadInteger(words[2]);
  return amount ? Add(data, words[1], -*amount) : NotAnInteger();
}

}  // namespace

void AddKeyCommands(RedisCommands& commands) {
  using Key = RedisCommand::Key;
  commands["DEL"] = {Del, -2, Key::kAny, true, false};
  commands["UNLINK"] = {Del, -2, Key::kAny, true, false};
  commands["EXISTS"] = {Exists, -2, Key::kAny, false, false};
  commands["TYPE"] = {Type, 2, Key::kAny, false, false};
  commands["EXPIRE"] = {Expire, -3, Key::kAny, true, false};
  commands["PEXPIRE"] = {Pexpire, -3, Key::kAny, true, false};
  commands["EXPIREAT"] = {ExpireAtSeconds, -3, Key::kAny, true, false};
  commands["PEXPIREAT"] = {PexpireAt, -3, Key::kAny, true, false};
  commands["PERSIST"] = {Persist, 2, Key::kAny, true, false};
  commands["TTL"] = {Ttl, 2, Key::kAny, false, false};
  commands["PTTL"] = {Pttl, 2, Key::kAny, false, false};
  commands["PEXPIRETIME"] = {PexpireTime, 2, Key::kAny, false, false};
  commands["RENAME"] = {Rename, 3, Key::kAny, true, false};
  commands["RENAMENX"] = {Renamenx, 3, Key::kAny, true, false};
  commands["COPY"] = {Copy, -3, Key::kAny, true, true};
}

void AddStringCommands(RedisCommands& commands) {
  using Key = RedisCommand::Key;
  commands["GET"] = {Get, 2, Key::kString, false, false};
  commands["STRLEN"] = {Strlen, 2, Key::kString, false, false};
  commands["MGET"] = {Mget, -2, Key::kAny, false, false};
  commands["SET"] = {SetValue, -3, Key::kAny, true, true};
  commands["INCR"] = {Incr, 2, Key::kString, true, true};
  commands["DECR"] = {Decr, 2, Key::kString, true, true};
  commands["INCRBY"] = {Incrby, 3, Key::kString, true, true};
  commands["DECRBY"] = {Decrby, 3, Key::kString, true, true};
}

}  // namespace dropoutd
