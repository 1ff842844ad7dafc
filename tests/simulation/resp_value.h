// What Redis answers.
#ifndef DROPOUTD_TESTS_SIMULATION_RESP_VALUE_H_
#define DROPOUTD_TESTS_SIMULATION_RESP_VALUE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "server/store/redis_value.h"

namespace dropoutd {

// A value of RESP2. A nil array is a nil.
struct RespValue {
  enum class Kind { kNil, kInteger, kStatus, kError, kBulk, kArray };

  Kind kind = Kind::kNil;
  std::int64_t integer = 0;
  std::string text;  // Of a status, an error, or a bulk string.
  std::vector<RespValue> array;

  static RespValue Nil() { return {}; }
  static RespValue Integer(std::int64_t value) {
    return {.kind = Kind::kInteger, .integer = value, .text = {}, .array = {}};
  }
  static RespValue Status(std::string text) { return {Kind::kStatus, 0, std::move(text), {}}; }
  static RespValue Error(std::string text) { return {Kind::kError, 0, std::move(text), {}}; }
  static RespValue Bulk(std::string text) { return {Kind::kBulk, 0, std::move(text), {}}; }
  static RespValue Array(std::vector<RespValue> values = {}) {
    return {Kind::kArray, 0, {}, std::move(values)};
  }

  bool is_error() const { return kind == Kind::kError; }

  friend bool operator==(const RespValue&, const RespValue&) = default;
};

// The words of a command.
using RespWords = std::vector<std::string>;

// As a client has it.
RedisValue ToRedisValue(const RespValue& value);

// For people; bytes that do not print are escaped.
std::string PrintResp(const RespValue& value);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_RESP_VALUE_H_
