// Commands on hashes.
#include <cstdint>
#include <string>

#include "tests/simulation/redis_data.h"
#include "tests/simulation/redis_words.h"

namespace dropoutd {
namespace {

const RedisData::Hash& HashAt(RedisData& data, const std::string& key) {
  static const RedisData::Hash* const none = new RedisData::Hash;
  const auto* const hash = data.Get<RedisData::Hash>(key);
  return hash == nullptr ? *none : *hash;
}

RespValue ValueAt(const RedisData::Hash& hash, const std::string& name) {
  const auto found = hash.find(name);
  return found == hash.end() ? RespValue::Nil() : RespValue::Bulk(found->second);
}

RespValue Hget(RedisData& data, const RespWords& words) {
  return ValueAt(HashAt(data, words[1]), words[2]);
}

RespValue Hmget(RedisData& data, const RespWords& words) {
  const RedisData::Hash& hash = HashAt(data, words[1]);
  RespValue answer = RespValue::Array();
  for (std::size_t i = 2; i < words.size(); ++i) {
    answer.array.push_back(ValueAt(hash, words[i]));
  }
  return answer;
}

RespValue Hset(RedisData& data, const RespWords& words) {
  if (words.size() % 2 != 0) {
    return RespValue::Error("ERR wrong number of arguments for 'hset' command");
  }
  auto& hash = data.Make<RedisData::Hash>(words[1]);
  std::int64_t added = 0;
  for (std::size_t i = 2; i < words.size(); i += 2) {
    added += hash.insert_or_assign(words[i], words[i + 1]).second;
  }
  return RespValue::Integer(added);
}

RespValue Hsetnx(RedisData& data, const RespWords& words) {
  return RespValue::Integer(
      data.Make<RedisData::Hash>(words[1]).emplace(words[2], words[3]).second);
}

RespValue Hdel(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Integer(0);
  auto& hash = data.Make<RedisData::Hash>(words[1]);
  std::int64_t gone = 0;
  for (std::size_t i = 2; i < words.size(); ++i) {
    gone += static_cast<std::int64_t>(hash.erase(words[i]));
  }
  return RespValue::Integer(gone);
}

RespValue Hlen(RedisData& data, const RespWords& words) {
  return RespValue::Integer(static_cast<std::int64_t>(HashAt(data, words[1]).size()));
}

RespValue Hexists(RedisData& data, const RespWords& words) {
  return RespValue::Integer(HashAt(data, words[1]).count(words[2]) != 0);
}

RespValue Hstrlen(RedisData& data, const RespWords& words) {
  return RespValue::Integer(
      static_cast<std::int64_t>(ValueAt(HashAt(data, words[1]), words[2]).text.size()));
}

RespValue Contents(RedisData& data, const std::string& key, bool names, bool values) {
  RespValue answer = RespValue::Array();
  for (const auto& [name, value] : HashAt(data, key)) {
    if (names) answer.array.push_back(RespValue::Bulk(name));
    if (values) answer.array.push_back(RespValue::Bulk(value));
  }
  return answer;
}

RespValue Hgetall(RedisData& data, const RespWords& words) {
  return Contents(data, words[1], true, true);
}
RespValue Hkeys(RedisData& data, const RespWords& words) {
  return Contents(data, words[1], true, false);
}
RespValue Hvals(RedisData& data, const RespWords& words) {
  return Contents(data, words[1], false, true);
}

// All at once, as Redis does for a small hash.
RespValue Hscan(RedisData& data, const RespWords& words) {
  return RespValue::Array({RespValue::Bulk("0"), Contents(data, words[1], true, true)});
}

RespValue Hincrby(RedisData& data, const RespWords& words) {
  const auto amount = ReadInteger(words[3]);
  if (!amount) return NotAnInteger();
  const RespValue old = ValueAt(HashAt(data, words[1]), words[2]);
  const auto value = old.kind == RespValue::Kind::kNil ? 0 : ReadInteger(old.text);
  if (!value) return RespValue::Error("ERR hash value is not an integer");
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*value, *amount, &sum)) {
    return RespValue::Error("ERR increment or decrement would overflow");
  }
  data.Make<RedisData::Hash>(words[1])[words[2]] = std::to_string(sum);
  return RespValue::Integer(sum);
}

}  // namespace

void AddHashCommands(RedisCommands& commands) {
  constexpr auto kHash = RedisCommand::Key::kHash;
  commands["HGET"] = {Hget, 3, kHash, false, false};
  commands["HMGET"] = {Hmget, -3, kHash, false, false};
  commands["HSET"] = {Hset, -4, kHash, true, true};
  commands["HSETNX"] = {Hsetnx, 4, kHash, true, true};
  commands["HDEL"] = {Hdel, -3, kHash, true, false};
  commands["HLEN"] = {Hlen, 2, kHash, false, false};
  commands["HEXISTS"] = {Hexists, 3, kHash, false, false};
  commands["HSTRLEN"] = {Hstrlen, 3, kHash, false, false};
  commands["HGETALL"] = {Hgetall, 2, kHash, false, false};
  commands["HKEYS"] = {Hkeys, 2, kHash, false, false};
  commands["HVALS"] = {Hvals, 2, kHash, false, false};
  commands["HSCAN"] = {Hscan, -3, kHash, false, false};
  commands["HINCRBY"] = {Hincrby, 4, kHash, true, true};
}

}  // namespace dropoutd
