#include "tests/simulation/lua_redis.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/redis_words.h"

namespace dropoutd {
namespace {

RespValue ReadOnly() {
  return RespValue::Error("READONLY You can't write against a read only replica.");
}

RespValue Full() {
  return RespValue::Error("OOM command not allowed when used memory > 'maxmemory'.");
}

RespValue Ok() { return RespValue::Status("OK"); }

}  // namespace

LuaRedis::LuaRedis(Clock clock)
    : clock_(std::move(clock)),
      scripts_([this](const RespWords& words) { return CallFromScript(words); }) {}

void LuaRedis::Restart(RedisData data) {
  data_ = std::move(data);
  scripts_.Clear();
}

RespValue LuaRedis::Execute(const RespWords& words) {
  if (words.empty()) return RespValue::Error("ERR empty command");
  const std::string name = UpperCase(words[0]);
  if (is_loading_ && name != "INFO" && name != "AUTH") {
    return RespValue::Error("LOADING Redis is loading the dataset in memory");
  }
  if (name == "EVALSHA" || name == "EVAL") return Evaluate(words);
  if (name == "SCRIPT") return Script(words);
  if (name == "SELECT" || name == "AUTH" || name == "CLIENT" || name == "ASKING") return Ok();
  if (name == "ROLE") {
    return is_read_only_ ? RespValue::Array({RespValue::Bulk("slave"), RespValue::Bulk("127.0.0.1"),
                                             RespValue::Integer(6379), RespValue::Bulk("connected"),
                                             RespValue::Integer(0)})
                         : RespValue::Array({RespValue::Bulk("master"), RespValue::Integer(0),
                                             RespValue::Array()});
  }
  if (name == "INFO") {
    return RespValue::Bulk(absl::StrCat(
        "# Server\r\nredis_version:7.0.15\r\nrole:", is_read_only_ ? "slave" : "master", "\r\n"));
  }
  if (name == "FLUSHALL") {
    data_ = RedisData();
    return Ok();
  }
  if (name == "WAIT") {
    if (words.size() != 3) return RespValue::Error("ERR wrong number of arguments");
    const auto replicas = ReadInteger(words[1]);
    const auto timeout = ReadInteger(words[2]);
    if (!replicas || !timeout) return NotAnInteger();
    return RespValue::Integer(wait_ ? wait_(*replicas, *timeout) : 0);
  }
  return Plain(words, clock_());
}

RespValue LuaRedis::Plain(const RespWords& words, std::int64_t now) {
  const std::string name = UpperCase(words[0]);
  if (name == "TIME") {
    return RespValue::Array({RespValue::Bulk(std::to_string(now / 1'000'000)),
                             RespValue::Bulk(std::to_string(now % 1'000'000))});
  }
  if (name == "PING") return RespValue::Status("PONG");
  const RedisCommand* const command = RedisData::Find(name);
  if (command == nullptr) {
    unknown_command_ = name;
    return RespValue::Error(absl::StrCat("ERR unknown command '", words[0], "'"));
  }
  if (command->needs_memory && is_full_ && !script_may_grow_) return Full();
  if (command->writes && is_read_only_) return ReadOnly();
  if (command->writes) ++writes_;
  return data_.Run(*command, words, now / 1000);
}

RespValue LuaRedis::CallFromScript(const RespWords& words) {
  const RedisCommand* const command = RedisData::Find(UpperCase(words[0]));
  if (command != nullptr && command->writes && !script_may_write_) {
    return RespValue::Error("ERR Write commands are not allowed from read-only scripts.");
  }
  const std::uint64_t before = writes_;
  RespValue answer = Plain(words, script_time_);
  // A script that has begun to write may go on.
  if (writes_ != before) script_may_grow_ = true;
  return answer;
}

RespValue LuaRedis::Script(const RespWords& words) {
  if (words.size() < 2) return RespValue::Error("ERR wrong number of arguments");
  const std::string name = UpperCase(words[1]);
  if (name == "LOAD" && words.size() == 3) return scripts_.Load(words[2]);
  if (name == "FLUSH") {
    scripts_.Clear();
    return Ok();
  }
  if (name == "EXISTS") {
    RespValue answer = RespValue::Array();
    for (std::size_t i = 2; i < words.size(); ++i) {
      answer.array.push_back(RespValue::Integer(scripts_.Find(words[i]) != nullptr));
    }
    return answer;
  }
  return RespValue::Error("ERR unknown subcommand");
}

RespValue LuaRedis::Evaluate(const RespWords& words) {
  if (words.size() < 3) return RespValue::Error("ERR wrong number of arguments");
  const auto count = ReadInteger(words[2]);
  if (!count) return NotAnInteger();
  if (*count < 0) return RespValue::Error("ERR Number of keys can't be negative");
  if (static_cast<std::uint64_t>(*count) > words.size() - 3) {
    return RespValue::Error("ERR Number of keys can't be greater than number of args");
  }
  std::string sha = words[1];
  if (UpperCase(words[0]) == "EVAL") {
    const RespValue loaded = scripts_.Load(words[1]);
    if (loaded.is_error()) return loaded;
    sha = loaded.text;
  }
  const LuaScripts::Flags* const flags = scripts_.Find(sha);
  if (flags == nullptr) {
    return RespValue::Error("NOSCRIPT No matching script. Please use EVAL.");
  }
  // Without the first line it is each command in turn that is refused.
  if (flags->has_line && !flags->no_writes && is_read_only_) return ReadOnly();
  if (flags->has_line && !flags->no_writes && !flags->allow_oom && is_full_) return Full();
  script_time_ = clock_();
  script_may_write_ = !flags->no_writes;
  script_may_grow_ = flags->allow_oom;
  const auto keys = words.begin() + 3;
  const auto arguments = keys + *count;
  RespValue answer = scripts_.Run(sha, {keys, arguments}, {arguments, words.end()});
  script_may_grow_ = false;
  return answer;
}

}  // namespace dropoutd
