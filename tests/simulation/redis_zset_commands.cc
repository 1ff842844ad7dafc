// Commands on sorted sets.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/redis_data.h"
#include "tests/simulation/redis_words.h"

namespace dropoutd {
namespace {

using Members = std::vector<std::pair<double, std::string>>;

const RedisData::Zset& ZsetAt(RedisData& data, const std::string& key) {
  static const RedisData::Zset* const none = new RedisData::Zset;
  const auto* const zset = data.Get<RedisData::Zset>(key);
  return zset == nullptr ? *none : *zset;
}

struct ScoreBound {
  double value = 0;
  bool is_open = false;
};

std::optional<ScoreBound> ReadScoreBound(const std::string& text) {
  const bool is_open = !text.empty() && text[0] == '(';
  const auto value = ReadScore(is_open ? text.substr(1) : text);
  if (!value) return std::nullopt;
  return ScoreBound{*value, is_open};
}

struct LexBound {
  int infinite = 0;  // -1: before all; 1: after all.
  bool is_open = false;
  std::string text;
};

std::optional<LexBound> ReadLexBound(const std::string& text) {
  if (text == "-") return LexBound{-1, true, ""};
  if (text == "+") return LexBound{1, true, ""};
  if (text.empty() || (text[0] != '[' && text[0] != '(')) return std::nullopt;
  return LexBound{0, text[0] == '(', text.substr(1)};
}

// Which of the members a range names, the answer's error if it is none.
struct Selection {
  Members members;
  std::optional<RespValue> error;
};

Selection SelectByScore(const RedisData::Zset& zset, const std::string& low,
                        const std::string& high) {
  const auto first = ReadScoreBound(low);
  const auto last = ReadScoreBound(high);
  if (!first || !last) return {{}, RespValue::Error("ERR min or max is not a float")};
  Selection selection;
  for (auto at = zset.order.lower_bound({first->value, std::string()}); at != zset.order.end();
       ++at) {
    if (first->is_open && at->first == first->value) continue;
    if (at->first > last->value || (last->is_open && at->first == last->value)) break;
    selection.members.push_back(*at);
  }
  return selection;
}

// As Redis, this takes all members for ones of equal score.
Selection SelectByLex(const RedisData::Zset& zset, const std::string& low,
                      const std::string& high) {
  const auto first = ReadLexBound(low);
  const auto last = ReadLexBound(high);
  if (!first || !last) return {{}, RespValue::Error("ERR min or max not valid string range item")};
  Selection selection;
  if (zset.order.empty() || first->infinite > 0 || last->infinite < 0) return selection;
  auto at = zset.order.begin();
  if (first->infinite == 0) at = zset.order.lower_bound({at->first, first->text});
  for (; at != zset.order.end(); ++at) {
    if (first->infinite == 0 && first->is_open && at->second == first->text) continue;
    if (last->infinite == 0 &&
        (last->is_open ? at->second >= last->text : at->second > last->text)) {
      break;
    }
    selection.members.push_back(*at);
  }
  return selection;
}

Selection SelectByRank(const RedisData::Zset& zset, const std::string& low, const std::string& high,
                       bool is_reverse) {
  const auto first = ReadInteger(low);
  const auto last = ReadInteger(high);
  if (!first || !last) return {{}, NotAnInteger()};
  const auto size = static_cast<std::int64_t>(zset.size());
  const std::int64_t begin = *first < 0 ? std::max<std::int64_t>(0, *first + size) : *first;
  const std::int64_t end = std::min(*last < 0 ? *last + size : *last, size - 1);
  Members all(zset.order.begin(), zset.order.end());
  if (is_reverse) std::reverse(all.begin(), all.end());
  Selection selection;
  for (std::int64_t i = begin; i <= end; ++i) selection.members.push_back(all[i]);
  return selection;
}

enum class Range { kRank, kScore, kLex };

struct RangeOptions {
  Range by = Range::kRank;
  bool is_reverse = false;
  bool with_scores = false;
  bool has_limit = false;
  std::int64_t offset = 0;
  std::int64_t count = -1;
};

// From the fifth word on. `is_new`: of ZRANGE, which takes them all.
std::optional<RespValue> ReadRangeOptions(const RespWords& words, bool is_new,
                                          RangeOptions& options) {
  for (std::size_t i = 4; i < words.size(); ++i) {
    const std::string option = UpperCase(words[i]);
    if (option == "WITHSCORES" && (is_new || options.by != Range::kLex)) {
      options.with_scores = true;
    } else if (option == "LIMIT" && i + 2 < words.size()) {
      const auto offset = ReadInteger(words[i + 1]);
      const auto count = ReadInteger(words[i + 2]);
      if (!offset || !count) return NotAnInteger();
      options.has_limit = true;
      options.offset = *offset;
      options.count = *count;
      i += 2;
    } else if (is_new && option == "BYSCORE") {
      options.by = Range::kScore;
    } else if (is_new && option == "BYLEX") {
      options.by = Range::kLex;
    } else if (is_new && option == "REV") {
      options.is_reverse = true;
    } else {
      return SyntaxError();
    }
  }
  if ((options.has_limit && options.by == Range::kRank) ||
      (options.with_scores && options.by == Range::kLex)) {
    return SyntaxError();
  }
  return std::nullopt;
}

RespValue AnswerRange(RedisData& data, const RespWords& words, RangeOptions options, bool is_new) {
  if (auto error = ReadRangeOptions(words, is_new, options)) return *error;
  const RedisData::Zset& zset = ZsetAt(data, words[1]);
  const bool swaps = options.is_reverse && options.by != Range::kRank;
  const std::string& low = words[swaps ? 3 : 2];
  const std::string& high = words[swaps ? 2 : 3];
  Selection selection = options.by == Range::kLex ? SelectByLex(zset, low, high)
                        : options.by == Range::kScore
                            ? SelectByScore(zset, low, high)
                            : SelectByRank(zset, low, high, options.is_reverse);
  if (selection.error) return *selection.error;
  if (swaps) std::reverse(selection.members.begin(), selection.members.end());
  RespValue answer = RespValue::Array();
  std::int64_t index = 0;
  std::int64_t taken = 0;
  for (const auto& [score, member] : selection.members) {
    if (options.offset < 0 || index++ < options.offset) continue;
    if (options.count >= 0 && taken++ >= options.count) break;
    answer.array.push_back(RespValue::Bulk(member));
    if (options.with_scores) answer.array.push_back(RespValue::Bulk(PrintNumber(score)));
  }
  return answer;
}

RespValue Zrange(RedisData& data, const RespWords& words) {
  return AnswerRange(data, words, {}, true);
}
RespValue Zrevrange(RedisData& data, const RespWords& words) {
  return AnswerRange(data, words, {.is_reverse = true}, false);
}
RespValue Zrangebylex(RedisData& data, const RespWords& words) {
  return AnswerRange(data, words, {.by = Range::kLex}, false);
}
RespValue Zrevrangebylex(RedisData& data, const RespWords& words) {
  return AnswerRange(data, words, {.by = Range::kLex, .is_reverse = true}, false);
}
RespValue Zrangebyscore(RedisData& data, const RespWords& words) {
  return AnswerRange(data, words, {.by = Range::kScore}, false);
}
RespValue Zrevrangebyscore(RedisData& data, const RespWords& words) {
  return AnswerRange(data, words, {.by = Range::kScore, .is_reverse = true}, false);
}

RespValue CountOf(const Selection& selection) {
  if (selection.error) return *selection.error;
  return RespValue::Integer(static_cast<std::int64_t>(selection.members.size()));
}

RespValue Zcount(RedisData& data, const RespWords& words) {
  return CountOf(SelectByScore(ZsetAt(data, words[1]), words[2], words[3]));
}
RespValue Zlexcount(RedisData& data, const RespWords& words) {
  return CountOf(SelectByLex(ZsetAt(data, words[1]), words[2], words[3]));
}

RespValue Remove(RedisData& data, const std::string& key, const Selection& selection) {
  if (!selection.error && !selection.members.empty()) {
    auto& zset = data.Make<RedisData::Zset>(key);
    for (const auto& [score, member] : selection.members) zset.Erase(member);
  }
  return CountOf(selection);
}

RespValue Zremrangebyscore(RedisData& data, const RespWords& words) {
  return Remove(data, words[1], SelectByScore(ZsetAt(data, words[1]), words[2], words[3]));
}
RespValue Zremrangebylex(RedisData& data, const RespWords& words) {
  return Remove(data, words[1], SelectByLex(ZsetAt(data, words[1]), words[2], words[3]));
}
RespValue Zremrangebyrank(RedisData& data, const RespWords& words) {
  return Remove(data, words[1], SelectByRank(ZsetAt(data, words[1]), words[2], words[3], false));
}

struct AddOptions {
  bool if_absent = false;
  bool if_present = false;
  bool if_greater = false;
  bool if_less = false;
  bool counts_changes = false;
};

// The index of the first score.
std::size_t ReadAddOptions(const RespWords& words, AddOptions& options) {
  std::size_t at = 2;
  for (; at < words.size(); ++at) {
    const std::string option = UpperCase(words[at]);
    bool* const flag = option == "NX"   ? &options.if_absent
                       : option == "XX" ? &options.if_present
                       : option == "GT" ? &options.if_greater
                       : option == "LT" ? &options.if_less
                       : option == "CH" ? &options.counts_changes
                                        : nullptr;
    if (flag == nullptr) break;
    *flag = true;
  }
  return at;
}

RespValue Zadd(RedisData& data, const RespWords& words) {
  AddOptions options;
  const std::size_t first = ReadAddOptions(words, options);
  if (first == words.size() || (words.size() - first) % 2 != 0) return SyntaxError();
  if (options.if_absent + options.if_greater + options.if_less > 1 ||
      (options.if_absent && options.if_present)) {
    return RespValue::Error("ERR options are not compatible");
  }
  std::vector<std::pair<double, std::string>> pairs;
  for (std::size_t i = first; i < words.size(); i += 2) {
    const auto score = ReadScore(words[i]);
    if (!score) return NotAScore();
    pairs.emplace_back(*score, words[i + 1]);
  }
  auto& zset = data.Make<RedisData::Zset>(words[1]);
  std::int64_t count = 0;
  for (const auto& [score, member] : pairs) {
    const auto found = zset.scores.find(member);
    const bool there = found != zset.scores.end();
    if (there ? options.if_absent : options.if_present) continue;
    if (there && ((options.if_greater && score <= found->second) ||
                  (options.if_less && score >= found->second))) {
      continue;
    }
    const bool changes = there && found->second != score;
    count += zset.Put(member, score) || (changes && options.counts_changes);
  }
  return RespValue::Integer(count);
}

RespValue Zincrby(RedisData& data, const RespWords& words) {
  const auto amount = ReadScore(words[2]);
  if (!amount) return NotAScore();
  const auto& scores = ZsetAt(data, words[1]).scores;
  const auto found = scores.find(words[3]);
  const double sum = *amount + (found == scores.end() ? 0 : found->second);
  data.Make<RedisData::Zset>(words[1]).Put(words[3], sum);
  return RespValue::Bulk(PrintNumber(sum));
}

RespValue Zrem(RedisData& data, const RespWords& words) {
  if (!data.Has(words[1])) return RespValue::Integer(0);
  auto& zset = data.Make<RedisData::Zset>(words[1]);
  std::int64_t gone = 0;
  for (std::size_t i = 2; i < words.size(); ++i) gone += zset.Erase(words[i]);
  return RespValue::Integer(gone);
}

RespValue Zpopmin(RedisData& data, const RespWords& words) {
  const auto count = words.size() == 3 ? ReadInteger(words[2]) : std::optional<std::int64_t>(1);
  if (words.size() > 3) return SyntaxError();
  if (!count || *count < 0) {
    return RespValue::Error("ERR value is out of range, must be positive");
  }
  RespValue answer = RespValue::Array();
  if (!data.Has(words[1])) return answer;
  auto& zset = data.Make<RedisData::Zset>(words[1]);
  for (std::int64_t i = 0; i < *count && !zset.empty(); ++i) {
    const auto [score, member] = *zset.order.begin();
    answer.array.push_back(RespValue::Bulk(member));
    answer.array.push_back(RespValue::Bulk(PrintNumber(score)));
    zset.Erase(member);
  }
  return answer;
}

RespValue Zcard(RedisData& data, const RespWords& words) {
  return RespValue::Integer(static_cast<std::int64_t>(ZsetAt(data, words[1]).size()));
}

RespValue Zscore(RedisData& data, const RespWords& words) {
  const auto& scores = ZsetAt(data, words[1]).scores;
  const auto found = scores.find(words[2]);
  return found == scores.end() ? RespValue::Nil() : RespValue::Bulk(PrintNumber(found->second));
}

RespValue Zrank(RedisData& data, const RespWords& words) {
  const RedisData::Zset& zset = ZsetAt(data, words[1]);
  const auto found = zset.scores.find(words[2]);
  if (found == zset.scores.end()) return RespValue::Nil();
  return RespValue::Integer(
      std::distance(zset.order.begin(), zset.order.find({found->second, words[2]})));
}

}  // namespace

void AddZsetCommands(RedisCommands& commands) {
  constexpr auto kZset = RedisCommand::Key::kZset;
  commands["ZADD"] = {Zadd, -4, kZset, true, true};
  commands["ZINCRBY"] = {Zincrby, 4, kZset, true, true};
  commands["ZREM"] = {Zrem, -3, kZset, true, false};
  commands["ZPOPMIN"] = {Zpopmin, -2, kZset, true, false};
  commands["ZCARD"] = {Zcard, 2, kZset, false, false};
  commands["ZSCORE"] = {Zscore, 3, kZset, false, false};
  commands["ZRANK"] = {Zrank, 3, kZset, false, false};
  commands["ZRANGE"] = {Zrange, -4, kZset, false, false};
  commands["ZREVRANGE"] = {Zrevrange, -4, kZset, false, false};
  commands["ZRANGEBYLEX"] = {Zrangebylex, -4, kZset, false, false};
  commands["ZREVRANGEBYLEX"] = {Zrevrangebylex, -4, kZset, false, false};
  commands["ZRANGEBYSCORE"] = {Zrangebyscore, -4, kZset, false, false};
  commands["ZREVRANGEBYSCORE"] = {Zrevrangebyscore, -4, kZset, false, false};
  commands["ZCOUNT"] = {Zcount, 4, kZset, false, false};
  commands["ZLEXCOUNT"] = {Zlexcount, 4, kZset, false, false};
  commands["ZREMRANGEBYSCORE"] = {Zremrangebyscore, 4, kZset, true, false};
  commands["ZREMRANGEBYLEX"] = {Zremrangebylex, 4, kZset, true, false};
  commands["ZREMRANGEBYRANK"] = {Zremrangebyrank, 4, kZset, true, false};
}

}  // namespace dropoutd
