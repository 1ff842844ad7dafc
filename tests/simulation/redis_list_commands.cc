// Commands on lists and sets.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "tests/simulation/redis_data.h"
#include "tests/simulation/redis_words.h"

namespace dropoutd {
namespace {

const RedisData::List& ListAt(RedisData& data, const std::string& key) {
  static const RedisData::List* const none = new RedisData::List;
  const auto* const list = data.Get<RedisData::List>(key);
  return list == nullptr ? *none : *list;
}

// The first index and the one after the last; negative ones count from the end.
std::pair<std::int64_t, std::int64_t> Slice(std::int64_t first, std::int64_t last,
                                            std::int64_t size) {
  if (first < 0) first = std::max<std::int64_t>(0, first + size);
  if (last < 0) last += size;
  last = std::min(last + 1, size);
  return first < last ? std::pair(first, last) : std::pair<std::int64_t, std::int64_t>(0, 0);
}

RespValue Push(RedisData& data, const RespWords& words, bool at_front) {
  auto& list = data.Make<RedisData::List>(words[1]);
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (at_front) {
      list.push_front(words[i]);
    } else {
      list.push_back(words[i]);
    }
  }
  return RespValue::Integer(static_cast<std::int64_t>(list.size()));
}

RespValue Lpush(RedisData& data, const RespWords& words) { return Push(data, words, true); }
RespValue Rpush(RedisData& data, const RespWords& words) { return Push(data, words, false); }

RespValue Pop(RedisData& data, const RespWords& words, bool at_front) {
  if (words.size() > 3) return SyntaxError();
  const bool is_many = words.size() == 3;
  const std::int64_t count = is_many ? ReadInteger(words[2]).value_or(-1) : 1;
  if (count < 0) return RespValue::Error("ERR value is out of range, must be positive");
  if (!data.Has(words[1])) return RespValue::Nil();
  auto& list = data.Make<RedisData::List>(words[1]);
  RespValue answer = RespValue::Array();
  for (std::int64_t i = 0; i < count && !list.empty(); ++i) {
    answer.array.push_back(RespValue::Bulk(at_front ? list.front() : list.back()));
    if (at_front) {
      list.pop_front();
    } else {
      list.pop_back();
    }
  }
  return is_many ? answer : answer.array[0];
}

RespValue Lpop(RedisData& data, const RespWords& words) { return Pop(data, words, true); }
RespValue Rpop(RedisData& data, const RespWords& words) { return Pop(data, words, false); }

RespValue Llen(RedisData& data, const RespWords& words) {
  return RespValue::Integer(static_cast<std::int64_t>(ListAt(data, words[1]).size()));
}

RespValue Lrange(RedisData& data, const RespWords& words) {
  const auto first = ReadInteger(words[2]);
  const auto last = ReadInteger(words[3]);
  if (!first || !last) return NotAnInteger();
  const RedisData::List& list = ListAt(data, words[1]);
  const auto [begin, end] = Slice(*first, *last, static_cast<std::int64_t>(list.size()));
  RespValue answer = RespValue::Array();
  for (std::int64_t i = begin; i < end; ++i) answer.array.push_back(RespValue::Bulk(list[i]));
  return answer;
}

RespValue Ltrim(RedisData& data, const RespWords& words) {
  const auto first = ReadInteger(words[2]);
  const auto last = ReadInteger(words[3]);
  if (!first || !last) return NotAnInteger();
  if (!data.Has(words[1])) return RespValue::Status("OK");
  auto& list = data.Make<RedisData::List>(words[1]);
  const auto [begin, end] = Slice(*first, *last, static_cast<std::int64_t>(list.size()));
  list.erase(list.begin() + end, list.end());
  list.erase(list.begin(), list.begin() + begin);
  return RespValue::Status("OK");
}

RespValue Lindex(RedisData& data, const RespWords& words) {
  const auto index = ReadInteger(words[2]);
  if (!index) return NotAnInteger();
  const RedisData::List& list = ListAt(data, words[1]);
  const auto size = static_cast<std::int64_t>(list.size());
  const std::int64_t at = *index < 0 ? *index + size : *index;
  return at < 0 || at >= size ? RespValue::Nil() : RespValue::Bulk(list[at]);
}

RespValue Lpos(RedisData& data, const RespWords& words) {
  const RedisData::List& list = ListAt(data, words[1]);
  const auto found = std::find(list.begin(), list.end(), words[2]);
  return found == list.end() ? RespValue::Nil() : RespValue::Integer(found - list.begin());
}

RespValue Lrem(RedisData& data, const RespWords& words) {
  const auto count = ReadInteger(words[2]);
  if (!count) return NotAnInteger();
  if (!data.Has(words[1])) return RespValue::Integer(0);
  auto& list = data.Make<RedisData::List>(words[1]);
  if (*count < 0) std::reverse(list.begin(), list.end());
  std::int64_t gone = 0;
  for (auto at = list.begin(); at != list.end();) {
    const bool goes = *at == words[3] && (*count == 0 || gone < std::abs(*count));
    gone += goes;
    at = goes ? list.erase(at) : at + 1;
  }
  if (*count < 0) std::reverse(list.begin(), list.end());
  return RespValue::Integer(gone);
}

const RedisData::Set& SetAt(RedisData& data, const std::string& key) {
  static const RedisData::Set* const none = new RedisData::Set;
  const auto* const set = data.Get<RedisData::Set>(key);
  return set == nullptr ? *none : *set;
}

RespValue Sadd(RedisData& data, const RespWords& words) {
  auto& set = data.Make<RedisData::Set>(words[1]);
  std::int64_t added = 0;
  for (std::size_t i = 2; i < words.size(); ++i) added += set.insert(words[i]).second;
  return RespValue::Integer(added);
}

RespValue Srem(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Integer(0);
  auto& set = data.Make<RedisData::Set>(words[1]);
  std::int64_t gone = 0;
  for (std::size_t i = 2; i < words.size(); ++i) {
    gone += static_cast<std::int64_t>(set.erase(words[i]));
  }
  return RespValue::Integer(gone);
}

RespValue Sismember(RedisData& data, const RespWords& words) {
  return RespValue::Integer(SetAt(data, words[1]).count(words[2]) != 0);
}

RespValue Scard(RedisData& data, const RespWords& words) {
  return RespValue::Integer(static_cast<std::int64_t>(SetAt(data, words[1]).size()));
}

RespValue Smembers(RedisData& data, const RespWords& words) {
  RespValue answer = RespValue::Array();
  for (const std::string& each : SetAt(data, words[1])) {
    answer.array.push_back(RespValue::Bulk(each));
  }
  return answer;
}

}  // namespace

void AddListCommands(RedisCommands& commands) {
  constexpr auto kList = RedisCommand::Key::kList;
  commands["LPUSH"] = {Lpush, -3, kList, true, true};
  commands["RPUSH"] = {Rpush, -3, kList, true, true};
  commands["LPOP"] = {Lpop, -2, kList, true, false};
  commands["RPOP"] = {Rpop, -2, kList, true, false};
  commands["LLEN"] = {Llen, 2, kList, false, false};
  commands["LRANGE"] = {Lrange, 4, kList, false, false};
  commands["LTRIM"] = {Ltrim, 4, kList, true, false};
  commands["LINDEX"] = {Lindex, 3, kList, false, false};
  commands["LPOS"] = {Lpos, 3, kList, false, false};
  commands["LREM"] = {Lrem, 4, kList, true, false};
}

void AddSetCommands(RedisCommands& commands) {
  constexpr auto kSet = RedisCommand::Key::kSet;
  commands["SADD"] = {Sadd, -3, kSet, true, true};
  commands["SREM"] = {Srem, -3, kSet, true, false};
  commands["SISMEMBER"] = {Sismember, 3, kSet, false, false};
  commands["SCARD"] = {Scard, 2, kSet, false, false};
  commands["SMEMBERS"] = {Smembers, 2, kSet, false, false};
}

}  // namespace dropoutd
