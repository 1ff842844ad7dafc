// The small Redis in process, beside a real one.
#include "tests/simulation/lua_redis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/store/hiredis_connection.h"
#include "tests/simulation/redis_words.h"
#include "tests/store/redis_process.h"

namespace dropoutd {
namespace {

std::int64_t SystemMicroseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Random commands on few keys, so that they meet.
class CommandSource {
 public:
  explicit CommandSource(unsigned seed) : random_(seed) {}

  int Below(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }

  RespWords Next() {
    // What each letter stands for is in Word.
    static const std::vector<std::string_view> kShapes = {
        "SET k v",
        "SET k v NX",
        "SET k v PX p",
        "SET k v XX KEEPTTL",
        "GET k",
        "STRLEN k",
        "MGET k k k",
        "INCR k",
        "INCRBY k i",
        "DECR k",
        "DECRBY k i",
        "DEL k",
        "UNLINK k k",
        "EXISTS k k",
        "TYPE k",
        "PEXPIRE k p",
        "EXPIRE k p",
        "PEXPIREAT k i",
        "PERSIST k",
        "PTTL k",
        "PEXPIRE k p NX",
        "RENAME k k",
        "RENAMENX k k",
        "COPY k k",
        "COPY k k REPLACE",
        "HGET k m",
        "HMGET k m m m",
        "HSET k m v",
        "HSET k m v m i",
        "HSETNX k m v",
        "HDEL k m m",
        "HLEN k",
        "HEXISTS k m",
        "HSTRLEN k m",
        "HGETALL k",
        "HKEYS k",
        "HVALS k",
        "HINCRBY k m i",
        "HSET k m",
        "LPUSH k v v",
        "RPUSH k m",
        "LPOP k",
        "RPOP k",
        "LPOP k n",
        "LLEN k",
        "LRANGE k i i",
        "LTRIM k i i",
        "LINDEX k i",
        "LREM k i m",
        "LPOS k m",
        "SADD k m m",
        "SREM k m",
        "SISMEMBER k m",
        "SCARD k",
        "SMEMBERS k",
        "ZADD k s m",
        "ZADD k 0 m 0 m",
        "ZADD k NX s m",
        "ZADD k GT CH s m s m",
        "ZADD k XX s m",
        "ZADD k LT s m",
        "ZINCRBY k s m",
        "ZREM k m m",
        "ZCARD k",
        "ZSCORE k m",
        "ZRANK k m",
        "ZPOPMIN k",
        "ZPOPMIN k n",
        "ZRANGE k i i",
        "ZRANGE k i i WITHSCORES",
        "ZRANGE k b b BYSCORE",
        "ZRANGE k b b BYSCORE LIMIT n n WITHSCORES",
        "ZRANGE k b b BYSCORE REV",
        "ZRANGE k i i REV",
        "ZREVRANGE k i i",
        "ZRANGEBYSCORE k b b",
        "ZRANGEBYSCORE k b b WITHSCORES LIMIT n n",
        "ZREVRANGEBYSCORE k b b",
        "ZCOUNT k b b",
        "ZREMRANGEBYSCORE k b b",
        "ZREMRANGEBYRANK k i i",
        "FOO k",
        "GET",
    };
    // Only where all scores are equal does Redis promise anything.
    static const std::vector<std::string_view> kLexShapes = {
        "ZADD z 0 m 0 m 0 m",
        "ZREM z m",
        "ZRANGEBYLEX z l l",
        "ZRANGEBYLEX z l l LIMIT n n",
        "ZREVRANGEBYLEX z l l",
        "ZLEXCOUNT z l l",
        "ZREMRANGEBYLEX z l l",
        "ZRANGE z l l BYLEX",
        "ZRANGE z l l BYLEX LIMIT n n",
        "ZRANGE z l l BYLEX REV",
    };
    const auto& shapes = Below(5) == 0 ? kLexShapes : kShapes;
    const std::string_view shape = shapes[Below(static_cast<int>(shapes.size()))];
    RespWords words;
    std::size_t at = 0;
    while (at < shape.size()) {
      const std::size_t end = std::min(shape.find(' ', at), shape.size());
      words.push_back(Word(std::string(shape.substr(at, end - at))));
      at = end + 1;
    }
    return words;
  }

 private:
  std::string Word(const std::string& shape) {
    static const std::string_view kValues[] = {"", "0", "7", "-3", "a\r\nb", "xyz", "1.5", "01"};
    static const std::string_view kScores[] = {"0", "1", "-2", "1.5", "1e300", "3", "inf", "x"};
    static const std::string_view kBounds[] = {"-inf", "+inf", "0", "(1", "1.5", "(3", "x"};
    if (shape.size() != 1) return shape;
    switch (shape[0]) {
      case 'k':
        return "key" + std::to_string(Below(6));
      case 'z':
        return "lex" + std::to_string(Below(2));
      case 'm':
        return std::string("m") + static_cast<char>('a' + Below(6));
      case 'v':
        return std::string(kValues[Below(8)]);
      case 'i':
        return std::to_string(Below(9) - 4);
      case 'n':
        return std::to_string(Below(4));
      case 'p':
        return std::to_string(Below(6) == 0 ? 0 : 100'000 + Below(3));
      case 's':
        return std::string(kScores[Below(8)]);
      case 'b':
        return std::string(kBounds[Below(7)]);
      case 'l': {
        const int kind = Below(6);
        if (kind < 2) return kind == 0 ? "-" : "+";
        return std::string(kind % 2 == 0 ? "[m" : "(m") + static_cast<char>('a' + Below(6));
      }
      default:
        return shape;
    }
  }

  std::mt19937 random_;
};

// Values compare equal that Redis leaves open: the order within hashes and sets, times that pass,
// and which of two errors it finds first, and the text of errors after their first word.
bool IsUnordered(std::string_view name) {
  return name == "HGETALL" || name == "HKEYS" || name == "HVALS" || name == "SMEMBERS";
}

void Sort(RedisValue& value, bool in_pairs) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t i = 0; i < value.list.size(); i += in_pairs ? 2 : 1) {
    pairs.emplace_back(value.list[i].text, in_pairs ? value.list[i + 1].text : "");
  }
  std::sort(pairs.begin(), pairs.end());
  std::size_t at = 0;
  for (const auto& [name, each] : pairs) {
    value.list[at++].text = name;
    if (in_pairs) value.list[at++].text = each;
  }
}

std::string Print(const RedisValue& value) {
  switch (value.kind) {
    case RedisValue::Kind::kNull:
      return "null";
    case RedisValue::Kind::kInteger:
      return value.integer > 1000 ? "much" : std::to_string(value.integer);
    case RedisValue::Kind::kText:
      return "'" + value.text + "'";
    case RedisValue::Kind::kError:
      return "error " + std::string(value.ErrorWord() == "WRONGTYPE" ? "ERR" : value.ErrorWord());
    case RedisValue::Kind::kList:
      return "[" +
             absl::StrJoin(value.list, ", ",
                           [](std::string* out, const RedisValue& each) { *out += Print(each); }) +
             "]";
  }
  return "";
}

std::string Print(std::string_view name, RedisValue value) {
  if (IsUnordered(name)) Sort(value, name == "HGETALL");
  return Print(value);
}

class LuaRedisTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasRedis()) GTEST_SKIP() << "no redis-server here";
    process_ = std::make_unique<RedisProcess>();
    auto connected = HiredisConnection::Connect(process_->address());
    ASSERT_TRUE(connected.ok());
    real_ = *std::move(connected);
  }

  RedisValue AskReal(const RespWords& words) {
    const auto answer = real_->Run(RedisArguments(words.begin(), words.end()));
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? *answer : RedisValue();
  }

  // `name`: of the command whose answer it is.
  void ExpectSame(const RespWords& words, std::string_view name) {
    const std::string expected = Print(name, AskReal(words));
    const std::string found = Print(name, ToRedisValue(ours_.Execute(words)));
    ASSERT_EQ(found, expected) << absl::StrJoin(words, " | ");
  }
  void ExpectSame(const RespWords& words) { ExpectSame(words, words[0]); }

  std::unique_ptr<RedisProcess> process_;
  std::unique_ptr<RedisConnection> real_;
  LuaRedis ours_{SystemMicroseconds};
};

TEST_F(LuaRedisTest, AnswersRandomCommandsAsRedisDoes) {
  CommandSource source(1);
  for (int i = 0; i < 20'000 && !HasFatalFailure(); ++i) ExpectSame(source.Next());
}

TEST_F(LuaRedisTest, AnswersRandomCommandsOfScriptsAsRedisDoes) {
  const std::vector<std::string> scripts = {
      "return redis.call(unpack(ARGV))",
      "return redis.pcall(unpack(ARGV))",
      "#!lua\nlocal a = redis.call(unpack(ARGV)) return {type(a), a}",
      "#!lua flags=allow-oom\nlocal a = redis.pcall(unpack(ARGV)) "
      "return type(a) == 'table' and (a.err and 'error' or a.ok or {#a, a}) or a",
      "#!lua flags=no-writes\nreturn redis.call(unpack(ARGV))",
  };
  CommandSource source(2);
  for (int i = 0; i < 20'000 && !HasFatalFailure(); ++i) {
    const std::string& script = scripts[static_cast<std::size_t>(source.Below(5))];
    RespWords words = {"EVAL", script, "1", "key1"};
    const RespWords command = source.Next();
    // A nested answer has an order of its own.
    if (IsUnordered(command[0]) && script != scripts[0]) continue;
    words.insert(words.end(), command.begin(), command.end());
    ExpectSame(words, command[0]);
  }
}

TEST_F(LuaRedisTest, RunsLuaAsRedisDoes) {
  for (const std::string body : {
           "return 1.9",
           "return -1.9",
           "return '1.9'",
           "return true",
           "return false",
           "return nil",
           "return {1, 2, nil, 4}",
           "return {1, {2, 'x'}, false, 3}",
           "return {err = 'MINE text'}",
           "return {ok = 'fine'}",
           "return redis.error_reply('MINE text')",
           "return redis.status_reply('fine')",
           "return redis.sha1hex('abc')",
           "return redis.sha1hex('')",
           "return {KEYS[1], ARGV[1], ARGV[2], KEYS[2]}",
           "return #ARGV",
           "return missing",
           "missing = 1",
           "function missing() end",
           "error('text')",
           "error({err = 'MINE text'})",
           "return redis.call('FOO')",
           "return redis.call()",
           "return redis.pcall('GET')",
           "return redis.call('GET', {})",
           "redis.call('SET', KEYS[1], 12345678901234) return redis.call('GET', KEYS[1])",
           "redis.call('SET', KEYS[1], 0.1) return redis.call('GET', KEYS[1])",
           "return string.format('%.0f', 1.7e12)",
           "return tostring(2^53)",
           "return 2^40 - 2^40 + 5",
           "local a, b = pcall(redis.call, 'FOO') return {tostring(a), type(b)}",
           "local t = {} for i = 1, 5000 do t[i] = i end return #t",
           "return math.floor(7.8)",
           "return {string.byte('a\\0b', 1, -1)}",
           "syntax error",
           "return type(redis.call('TIME')[1])",
           "return tonumber('0x10')",
           "return redis.call('TYPE', 'none')",
           "return redis.call('TYPE', 'none').ok",
           "return type(redis.call('GET', 'none'))",
           "return redis.call('PING')",
           "return table.concat({'a', 'b'}, ',')",
           "return select('#', unpack({1, 2, 3}))",
           "local k = KEYS[1] redis.call('DEL', k) redis.call('RPUSH', k, 'x') return "
           "redis.call('INCR', k)",
       }) {
    ExpectSame({"EVAL", body, "1", "key", "first", ""});
    ExpectSame({"EVAL", "#!lua\n" + body, "1", "key", "first", ""});
  }
}

TEST_F(LuaRedisTest, KnowsScriptsByTheirHashUntilItForgetsThem) {
  const RespWords call = {"EVALSHA", RedisScript("return 7").sha, "0"};
  ExpectSame(call);
  ExpectSame({"SCRIPT", "LOAD", "return 7"});
  ExpectSame(call);
  ExpectSame({"SCRIPT", "EXISTS", call[1], "ffffffffffffffffffffffffffffffffffffffff"});
  ExpectSame({"SCRIPT", "LOAD", "syntax error"});
  ExpectSame({"SCRIPT", "LOAD", "#!lua flags=nothing-such\nreturn 1"});
  ExpectSame({"SCRIPT", "FLUSH"});
  ExpectSame(call);
  ExpectSame({"EVALSHA", call[1], "-1"});
  ExpectSame({"EVALSHA", call[1], "2", "one"});
}

// Each kind of script, and what it may do.
std::vector<RespWords> Attempts() {
  std::vector<RespWords> attempts = {{"SET", "key", "1"}, {"GET", "key"}, {"DEL", "other"}};
  for (const std::string first :
       {"", "#!lua\n", "#!lua flags=allow-oom\n", "#!lua flags=no-writes\n"}) {
    for (const std::string body :
         {"return redis.call('GET', 'key')", "return redis.call('SET', 'key', '2')",
          "return redis.call('DEL', 'other')", "return redis.pcall('HSET', 'hash', 'a', 'b')",
          "redis.call('DEL', 'key') return redis.call('SET', 'key', '3')", "return 1"}) {
      attempts.push_back({"EVAL", first + body, "0"});
    }
  }
  return attempts;
}

TEST_F(LuaRedisTest, RefusesWhatAReplicaRefuses) {
  ExpectSame({"SET", "key", "0"});
  AskReal({"REPLICAOF", "127.0.0.1", "1"});
  ours_.set_read_only(true);
  for (const RespWords& attempt : Attempts()) ExpectSame(attempt);
}

TEST_F(LuaRedisTest, RefusesWhatAFullRedisRefuses) {
  ExpectSame({"SET", "key", "0"});
  AskReal({"CONFIG", "SET", "maxmemory", "1"});
  ours_.set_full(true);
  for (const RespWords& attempt : Attempts()) ExpectSame(attempt);
}

TEST(LuaRedisAlone, CopiesOfItsDataAreTheirOwn) {
  LuaRedis redis([] { return 1'000'000; });
  redis.Execute({"HSET", "key", "a", "1"});
  const RedisData before = redis.data();
  redis.Execute({"HSET", "key", "a", "2"});
  redis.Execute({"SET", "new", "x"});
  redis.Restart(before);
  EXPECT_EQ(redis.Execute({"HGET", "key", "a"}), RespValue::Bulk("1"));
  EXPECT_EQ(redis.Execute({"EXISTS", "new"}), RespValue::Integer(0));
}

TEST(LuaRedisAlone, KeysEndByItsClock) {
  std::int64_t now = 1'000'000'000;
  LuaRedis redis([&now] { return now; });
  redis.Execute({"SET", "key", "x", "PX", "1000"});
  now += 1'000'000;
  EXPECT_EQ(redis.Execute({"EXISTS", "key"}), RespValue::Integer(1));
  now += 1'000;
  EXPECT_EQ(redis.Execute({"EXISTS", "key"}), RespValue::Integer(0));
  EXPECT_EQ(redis.Execute({"TIME"}),
            RespValue::Array({RespValue::Bulk("1001"), RespValue::Bulk("1000")}));
}

}  // namespace
}  // namespace dropoutd
