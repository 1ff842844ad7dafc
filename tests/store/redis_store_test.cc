// Redis: the conformance suite against a real server, and what can befall the way to it.
#include "server/store/redis_store.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/base/error.h"
#include "server/store/framing.h"
#include "server/store/redis_connection.h"
#include "tests/store/redis_process.h"
#include "tests/store/store_conformance.h"
#include "tests/store/stores_under_test.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;

INSTANTIATE_TEST_SUITE_P(Redis, StoreConformanceTest, testing::Values(MakeStoreKind("Redis")),
                         [](const auto& kind) { return kind.param.name; });

StoreChange New(const std::string& document) {
  StoreChange change;
  change.expected_version = 0;
  change.document = document;
  change.expire_time = std::chrono::system_clock::now() + std::chrono::hours(1);
  return change;
}

StoreChange Field(const std::string& name, const std::string& value) {
  StoreChange change;
  change.writes = {{name, value}};
  return change;
}

std::string ReasonText(const absl::Status& status) {
  const auto reason = ReasonOf(status);
  return reason.has_value() ? std::string(ReasonName(*reason)) : status.ToString();
}

// Calls until it is answered, as a client library does.
template <typename Call>
auto Retried(Call call) {
  const auto deadline = std::chrono::steady_clock::now() + kRedisPatience;
  auto answer = call();
  while (!answer.ok() && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(ReasonText(answer.status()), "STORE_UNAVAILABLE");
    answer = call();
  }
  return answer;
}

TEST(RedisStoreTest, TwoServersSeeEachOthersChanges) {
  RedisProcess redis;
  const auto a = RedisStore::Open(redis.address()).value();
  const auto b = RedisStore::Open(redis.address()).value();
  ASSERT_TRUE(a->Commit("s", New("one")).ok());
  for (int i = 0; i < 200; ++i) {
    Store& writer = i % 2 == 0 ? *a : *b;
    Store& reader = i % 2 == 0 ? *b : *a;
    ASSERT_TRUE(writer.Commit("s", Field("a", std::to_string(i))).ok());
    StoreQuery query;
    query.fields = {"a"};
    ASSERT_EQ(reader.Query("s", query)->fields[0].value, std::to_string(i));
  }
}

TEST(RedisStoreTest, WithAofNothingAcknowledgedIsLost) {
  RedisProcess redis({"--appendonly", "yes", "--appendfsync", "always"});
  const auto store = RedisStore::Open(redis.address()).value();
  ASSERT_TRUE(store->Commit("s", New("document")).ok());
  int next = 0;
  for (int death = 0; death < 3; ++death) {
    std::atomic<int> acknowledged{0};
    // Redis dies while changes are on their way.
    std::thread writer([&] {
      for (int i = next; store->Commit("s", Field(std::to_string(i), "x")).ok(); ++i) {
        acknowledged = i + 1;
      }
    });
    while (acknowledged < next + 50) std::this_thread::yield();
    redis.Kill();
    writer.join();
    EXPECT_EQ(ReasonText(store->Query("s", {}).status()), "STORE_UNAVAILABLE");
    redis.Start();
    StoreQuery query;
    for (int i = 0; i < acknowledged; ++i) query.fields.push_back(std::to_string(i));
    const auto answer = Retried([&] { return store->Query("s", query); });
    ASSERT_TRUE(answer.ok()) << answer.status();
    for (const StoreField& field : answer->fields) EXPECT_EQ(field.value, "x") << field.name;
    next = acknowledged;
  }
}

TEST(RedisStoreTest, AServerThatHangsIsUnavailable) {
  RedisProcess redis;
  RedisAddress address = redis.address();
  address.command_timeout = milliseconds(200);
  const auto store = RedisStore::Open(address).value();
  ASSERT_TRUE(store->Commit("s", New("document")).ok());
  redis.Signal(SIGSTOP);
  EXPECT_EQ(ReasonText(store->Query("s", {}).status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store->Commit("s", Field("a", "1")).status()), "STORE_UNAVAILABLE");
  redis.Signal(SIGCONT);
  const auto answer = Retried([&] { return store->Query("s", {}); });
  EXPECT_EQ(answer->document, "document");
}

TEST(RedisStoreTest, AFullServerLosesNothing) {
  RedisProcess redis({"--maxmemory", "4mb", "--maxmemory-policy", "noeviction"});
  const auto store = RedisStore::Open(redis.address()).value();
  ASSERT_TRUE(store->Commit("s", New("document")).ok());
  absl::Status full;
  int written = 0;
  for (; full.ok() && written < 1000; ++written) {
    full = store->Commit("s", Field(std::to_string(written), std::string(100'000, 'x'))).status();
  }
  EXPECT_EQ(ReasonText(full), "STORE_UNAVAILABLE");
  EXPECT_NE(full.message().find("OOM"), std::string::npos) << full;
  StoreQuery query;
  for (int i = 0; i + 1 < written; ++i) query.fields.push_back(std::to_string(i));
  const auto answer = store->Query("s", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  for (const StoreField& field : answer->fields) EXPECT_TRUE(field.value.has_value());
}

TEST(RedisStoreTest, PasswordsAreAskedForAndNotTold) {
  RedisProcess redis;
  const auto open = RedisStore::Open(redis.address()).value();
  RedisAddress wrong = redis.address();
  wrong.user = "somebody";
  wrong.password = "hunter2hunter2";
  const auto refused = RedisStore::Open(wrong);
  EXPECT_EQ(ReasonText(refused.status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(refused.status().message().find("hunter2"), std::string::npos);
}

// Passes bytes on between clients and Redis, and cuts connections in the middle of a command.
class CuttingProxy {
 public:
  explicit CuttingProxy(int redis_port) : redis_port_(redis_port) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 16);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~CuttingProxy() {
    stop_ = true;
    acceptor_.join();
    for (std::thread& each : pumps_) each.join();
    close(listener_);
  }

  int port() const { return port_; }

  // After so many more bytes of requests the connection that brings them is cut.
  void CutAfter(std::int64_t bytes) { left_ = bytes; }

 private:
  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void Accept() {
    while (!stop_) {
      pollfd ready{listener_, POLLIN, 0};
      if (poll(&ready, 1, 20) <= 0) continue;
      const int client = accept(listener_, nullptr, nullptr);
      if (client >= 0) pumps_.emplace_back([this, client] { Pump(client); });
    }
  }

  void Pump(int client) {
    const int redis = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(redis_port_);
    bool open = connect(redis, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    while (open && !stop_) {
      pollfd ready[] = {{client, POLLIN, 0}, {redis, POLLIN, 0}};
      if (poll(ready, 2, 20) <= 0) continue;
      if (ready[0].revents != 0) open = Pass(client, redis, /*is_request=*/true);
      if (open && ready[1].revents != 0) open = Pass(redis, client, /*is_request=*/false);
    }
    close(client);
    close(redis);
  }

  bool Pass(int from, int to, bool is_request) {
    char bytes[1024];
    ssize_t size = read(from, bytes, sizeof(bytes));
    if (size <= 0) return false;
    bool goes_on = true;
    if (is_request && left_ >= 0) {
      const std::int64_t before = left_.fetch_sub(size);
      if (before < size) {
        size = static_cast<ssize_t>(before);
        left_ = -1;
        goes_on = false;
      }
    }
    return send(to, bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL) == size && goes_on;
  }

  const int redis_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> left_{-1};
  std::thread acceptor_;
  std::vector<std::thread> pumps_;
};

TEST(RedisStoreTest, AConnectionThatIsCutDoesNoDamage) {
  RedisProcess redis;
  CuttingProxy proxy(redis.address().port);
  RedisAddress address = redis.address();
  address.port = proxy.port();
  const auto store = RedisStore::Open(address).value();
  const auto direct = RedisStore::Open(redis.address()).value();
  ASSERT_TRUE(store->Commit("s", New("document")).ok());
  for (int i = 0; i < 30; ++i) {
    const std::string name = "f" + std::to_string(i);
    proxy.CutAfter(i * 37);
    const auto committed = store->Commit("s", Field(name, std::string(400, 'x')));
    if (!committed.ok()) {
      EXPECT_EQ(ReasonText(committed.status()), "STORE_UNAVAILABLE");
    }
    StoreQuery query;
    query.fields = {name};
    // All of it or nothing; and all of it if it was acknowledged.
    const auto truth = direct->Query("s", query);
    ASSERT_TRUE(truth.ok()) << truth.status();
    const auto& value = truth->fields[0].value;
    if (committed.ok() || value.has_value()) {
      EXPECT_EQ(value, std::string(400, 'x'));
    }
    // No answer of another command is taken for this one's.
    proxy.CutAfter(200 + i);
    const auto through = Retried([&] { return store->Query("s", query); });
    EXPECT_EQ(through->fields[0].value, value);
    EXPECT_EQ(through->document, "document");
  }
}

TEST(RedisStoreTest, DamagedRecordsAreSetAside) {
  RedisProcess redis;
  const auto store = RedisStore::Open(redis.address()).value();
  for (const char* key : {"bad", "good"}) {
    ASSERT_TRUE(store->Commit(key, New("document")).ok());
    ASSERT_TRUE(store->Commit(key, Field("a", "1")).ok());
  }
  const RedisScript meddle("return redis.call('HSET', KEYS[1], ARGV[1], 'garbage')");
  const auto connection = RedisConnection::Connect(redis.address()).value();
  ASSERT_TRUE(connection->Call(meddle, {"dropout:{bad}:f"}, {"a"}).ok());
  StoreQuery query;
  query.fields = {"a"};
  EXPECT_EQ(ReasonText(store->Query("bad", query).status()), "STORE_CORRUPT");
  // And stays so for other questions, which the damage does not touch.
  EXPECT_EQ(ReasonText(store->Query("bad", {}).status()), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(store->Commit("bad", Field("b", "2")).status()), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(store->Scan("bad", {"", "z"}, 9).status()), "STORE_CORRUPT");
  EXPECT_EQ(store->Query("good", query)->fields[0].value, "1");
  EXPECT_TRUE(store->Remove("bad").ok());
  EXPECT_TRUE(store->Commit("bad", New("again")).ok());
}

// Of a batch: a later error does not hide that the server takes no writes any more.
TEST(RedisStoreTest, AConnectionToAReplicaIsOfNoUse) {
  RedisProcess redis;
  const auto connection = RedisConnection::Connect(redis.address()).value();
  const RedisScript demoted("return redis.error_reply('READONLY no writes here')");
  const RedisScript full("return redis.error_reply('OOM no room')");
  EXPECT_EQ(ReasonText(connection->Call(full, {}, {}).status()), "STORE_UNAVAILABLE");
  EXPECT_FALSE(connection->is_broken());
  connection->Append(demoted, {}, {});  // Not known yet.
  EXPECT_FALSE(connection->Receive().ok());
  EXPECT_FALSE(connection->is_broken());
  EXPECT_EQ(ReasonText(connection->Call(demoted, {}, {}).status()), "STORE_UNAVAILABLE");
  EXPECT_TRUE(connection->is_broken());
  const auto batch = RedisConnection::Connect(redis.address()).value();
  batch->Append(demoted, {}, {});
  batch->Append(full, {}, {});
  EXPECT_FALSE(batch->Receive().ok());
  EXPECT_FALSE(batch->Receive().ok());
  EXPECT_TRUE(batch->is_broken());
}

// Sessions end by Redis's clock: a server whose own is wrong ends none of the others', and keeps
// its own.
TEST(RedisStoreTest, ClocksOfServersMayDiffer) {
  RedisProcess redis;
  const auto shifted = [](std::chrono::hours by) {
    return [by] { return std::chrono::system_clock::now() + by; };
  };
  constexpr std::chrono::hours kShifts[] = {std::chrono::hours(0), std::chrono::hours(2),
                                            std::chrono::hours(-2)};
  std::vector<std::unique_ptr<RedisStore>> stores;
  for (const auto shift : kShifts) {
    stores.push_back(RedisStore::Open(redis.address(), shifted(shift)).value());
  }
  const auto span = [&](std::size_t i, StoreTime end) { return end - shifted(kShifts[i])(); };
  const auto in = [&](std::size_t i, std::chrono::minutes after) {
    return shifted(kShifts[i])() + after;
  };
  constexpr std::chrono::minutes kTtl(60);
  constexpr std::chrono::minutes kLonger(90);
  constexpr std::chrono::minutes kTolerance(10);
  for (std::size_t i = 0; i < stores.size(); ++i) {
    StoreChange change = New("document");
    change.expire_time = in(i, kTtl);
    ASSERT_TRUE(stores[i]->Commit("s" + std::to_string(i), change).ok());
  }
  for (const auto& store : stores) EXPECT_TRUE(store->RemoveExpired().ok());
  for (std::size_t reader = 0; reader < stores.size(); ++reader) {
    EXPECT_EQ(*stores[reader]->Count(), stores.size());
    for (std::size_t maker = 0; maker < stores.size(); ++maker) {
      const std::string key = "s" + std::to_string(maker);
      const auto answer = stores[reader]->Query(key, {});
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_LE(span(reader, answer->expire_time), kTtl + kTolerance);
      EXPECT_GT(span(reader, answer->expire_time), kTtl - kTolerance);
    }
  }
  // Each renews, by a query or with a change, and all see it.
  for (std::size_t i = 0; i < stores.size(); ++i) {
    StoreQuery query;
    query.expire_time = in(i, kLonger);
    ASSERT_TRUE(stores[i]->Query("s0", query).ok());
    StoreChange change = Field("a", "1");
    change.expire_time = in(i, kLonger);
    ASSERT_TRUE(stores[i]->Commit("s1", change).ok());
    for (std::size_t reader = 0; reader < stores.size(); ++reader) {
      for (const char* const key : {"s0", "s1"}) {
        const auto answer = stores[reader]->Query(key, {});
        ASSERT_TRUE(answer.ok()) << answer.status();
        EXPECT_LE(span(reader, answer->expire_time), kLonger + kTolerance) << i << key;
        EXPECT_GT(span(reader, answer->expire_time), kLonger - kTolerance) << i << key;
      }
    }
  }
}

}  // namespace
}  // namespace dropoutd
