// Redis: writes that come late, answers that are lost, primaries that are none any more.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/store/hiredis_connection.h"
#include "server/store/redis_commit.h"
#include "server/store/redis_keys.h"
#include "server/store/redis_store.h"
#include "server/store/redis_topology.h"
#include "tests/store/redis_process.h"
#include "tests/store/redis_proxy.h"
#include "tests/store/redis_test_changes.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;

// A store behind a proxy, and one that goes straight to the same Redis.
class RedisFaultsTest : public testing::Test {
 protected:
  RedisFaultsTest() : proxy_(redis_.address().port) {
    RedisAddress address = redis_.address();
    address.port = proxy_.port();
    address.command_timeout = milliseconds(150);
    store_ = RedisStore::Open(address).value();
    direct_ = RedisStore::Open(redis_.address()).value();
  }

  // Calls while no request comes through, and then lets them through, late: `meanwhile` has
  // happened by then.
  template <typename Call, typename Meanwhile>
  void Late(Call call, Meanwhile meanwhile) {
    proxy_.Hold();
    const absl::Status status = call();
    EXPECT_EQ(ReasonText(status), "STORE_UNAVAILABLE");
    const auto deadline = std::chrono::steady_clock::now() + kRedisPatience;
    const auto has_time = [deadline] { return std::chrono::steady_clock::now() < deadline; };
    while (proxy_.waiting() > 0 && has_time()) std::this_thread::yield();
    ASSERT_GT(proxy_.orphans(), 0);
    meanwhile();
    proxy_.Release();
    while (proxy_.orphans() > 0 && has_time()) std::this_thread::yield();
    ASSERT_EQ(proxy_.orphans(), 0);
  }

  RedisProcess redis_;
  RedisProxy proxy_;
  std::unique_ptr<RedisStore> store_;
  std::unique_ptr<RedisStore> direct_;
};

TEST_F(RedisFaultsTest, ALateRemovalLeavesTheNextSessionAlone) {
  const StoreChange first = Making("first");
  ExpectDone(store_->Commit("s", first));
  StoreChange second = Making("second");
  Late([&] { return store_->Remove("s", first.incarnation, Token::Random()).status(); },
       [&] {
         const Token removal = Token::Random();
         ExpectDone(direct_->Remove("s", first.incarnation, removal));
         second.expected = removal;
         ExpectDone(direct_->Commit("s", second));
       });
  const auto answer = direct_->Query("s", {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->token, second.token);
}

TEST_F(RedisFaultsTest, ALateCreationDoesNotBringASessionBack) {
  const StoreChange made = Making();
  Late([&] { return store_->Commit("s", made).status(); },
       [&] {
         ExpectDone(direct_->Commit("s", made));  // The repeat, through another server.
         ExpectDone(direct_->Remove("s", made.incarnation, Token::Random()));
       });
  EXPECT_TRUE(absl::IsNotFound(direct_->Query("s", {}).status()));
}

TEST_F(RedisFaultsTest, ALateCreationDoesNotBringAnExpiredSessionBack) {
  StoreChange made = Making();
  made.ttl = milliseconds(50);
  Late([&] { return store_->Commit("s", made).status(); },
       [&] {
         ExpectDone(direct_->Commit("s", made));
         const auto deadline = std::chrono::steady_clock::now() + kRedisPatience;
         while (direct_->Query("s", {}).ok() && std::chrono::steady_clock::now() < deadline) {
         }
         EXPECT_TRUE(direct_->RemoveExpired().ok());
       });
  EXPECT_TRUE(absl::IsNotFound(direct_->Query("s", {}).status()));
  EXPECT_EQ(*direct_->Count(), 0U);
}

TEST_F(RedisFaultsTest, ALateRecordDoesNotReplaceTheRepeat) {
  const StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  const StoreChange other = Writing(made, "7", "of another");
  Late([&] { return store_->Commit("s", Writing(made, "7", "late")).status(); },
       [&] { ExpectDone(direct_->Commit("s", other)); });
  EXPECT_EQ(FieldOf(*direct_, "s", "7").value, "of another");
}

TEST_F(RedisFaultsTest, AReleasedRecordDoesNotComeBack) {
  const StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  const StoreChange record = Writing(made, "7", "record");
  const StoreChange release = Writing(made, "7", std::nullopt, record.token);
  Late([&] { return store_->Commit("s", record).status(); },
       [&] {
         ExpectDone(direct_->Commit("s", record));
         ExpectDone(direct_->Commit("s", release));
       });
  const StoreField field = FieldOf(*direct_, "s", "7");
  EXPECT_FALSE(field.value.has_value());
  EXPECT_EQ(field.token, release.token);
}

TEST_F(RedisFaultsTest, ALateChangeDoesNotUndoABulkErasure) {
  const StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  StoreChange erases = Writing(made, "other", "x");
  erases.writes.clear();
  erases.erases = {{"0", "9"}};
  Late([&] { return store_->Commit("s", Writing(made, "7", "late")).status(); },
       [&] { ExpectDone(direct_->Commit("s", erases)); });
  EXPECT_FALSE(FieldOf(*direct_, "s", "7").value.has_value());
}

TEST_F(RedisFaultsTest, LateStagedFieldsDoNotReplaceASessions) {
  const StoreChange made = Making();
  Late(
      [&] {
        return store_->Stage("s", made.incarnation, {{"a", "staged", Token()}});
      },
      [&] {
        ASSERT_TRUE(direct_->Stage("s", made.incarnation, {{"a", "staged", Token()}}).ok());
        ExpectDone(direct_->Commit("s", made));
        ExpectDone(direct_->Commit("s", Writing(made, "a", "newer", made.token)));
      });
  EXPECT_EQ(FieldOf(*direct_, "s", "a").value, "newer");
}

// One whose answer was lost is found by its repeat, whatever came after it.
TEST_F(RedisFaultsTest, ALostAnswerIsAskedForAgain) {
  StoreChange made = Making();
  proxy_.LoseAnswer();
  ExpectDone(store_->Commit("s", made));
  for (int i = 0; i < 20; ++i) {
    const std::string name = "f" + std::to_string(i);
    const StoreChange change = Writing(made, name, "x");
    proxy_.LoseAnswer();
    ExpectDone(store_->Commit("s", change));
    EXPECT_EQ(FieldOf(*direct_, "s", name).token, change.token);
    proxy_.LoseAnswer();
    ExpectDone(store_->Commit("s", Writing(made, name, std::nullopt, change.token)));
  }
  proxy_.LoseAnswer();
  const Token removal = Token::Random();
  ExpectDone(store_->Remove("s", made.incarnation, removal));
  EXPECT_TRUE(absl::IsNotFound(direct_->Query("s", {}).status()));
}

TEST_F(RedisFaultsTest, AStartedChangeWhoseAnswerIsLostIsAskedForAgain) {
  StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  for (int i = 0; i < 10; ++i) {
    proxy_.LoseAnswer();
    ExpectDone(CommitAndWait(*store_, "s", Writing(made, std::to_string(i), "x")));
  }
}

TEST_F(RedisFaultsTest, AConnectionThatIsCutDoesNoDamage) {
  const StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  for (int i = 0; i < 30; ++i) {
    const std::string name = "f" + std::to_string(i);
    proxy_.CutAfter(i * 37);
    ExpectDone(store_->Commit("s", Writing(made, name, std::string(400, 'x'))));
    EXPECT_EQ(FieldOf(*direct_, "s", name).value, std::string(400, 'x'));
    // No answer of another command is taken for this one's.
    proxy_.CutAfter(200 + i);
    EXPECT_EQ(FieldOf(*store_, "s", name).value, std::string(400, 'x'));
  }
}

TEST_F(RedisFaultsTest, ConnectionsThatRedisClosedCostNothing) {
  const StoreChange made = Making();
  ExpectDone(direct_->Commit("s", made));
  const auto connection = HiredisConnection::Connect(redis_.address()).value();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(connection->Run({"CLIENT", "KILL", "TYPE", "normal"}).ok());
    ExpectDone(direct_->Commit("s", Writing(made, std::to_string(i), "x")));
    ASSERT_TRUE(connection->Run({"CLIENT", "KILL", "TYPE", "normal"}).ok());
    EXPECT_TRUE(direct_->Query("s", {}).ok());
  }
}

// An old connection to what is a replica now answers nothing, reads included.
TEST_F(RedisFaultsTest, ADemotedPrimaryIsNotBelieved) {
  const StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  const auto connection = HiredisConnection::Connect(redis_.address()).value();
  const std::string port = std::to_string(FreePort());
  ASSERT_FALSE(connection->Run({"REPLICAOF", "127.0.0.1", port})->is_error());
  EXPECT_EQ(ReasonText(store_->Query("s", {}).status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store_->Tokens({"s"}).status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store_->List("", "", 9).status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store_->Snapshot("s").status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store_->Commit("s", Writing(made, "a", "1")).status()), "STORE_UNAVAILABLE");
  EXPECT_EQ(ReasonText(store_->Check()), "STORE_UNAVAILABLE");
  ASSERT_FALSE(connection->Run({"REPLICAOF", "NO", "ONE"})->is_error());
  EXPECT_TRUE(store_->Query("s", {}).ok());
}

// The script itself refuses a write out of its time, by Redis's clock.
TEST_F(RedisFaultsTest, WritesHaveAnEnd) {
  const StoreChange made = Making();
  ExpectDone(direct_->Commit("s", made));
  const auto connection = HiredisConnection::Connect(redis_.address()).value();
  std::int64_t seconds = 0;
  const RedisValue time = connection->Run({"TIME"}).value();
  ASSERT_TRUE(absl::SimpleAtoi(time.list[0].text, &seconds));
  const auto word = [&](std::int64_t deadline) {
    RedisCall call =
        CommitCallOf(RedisKeys("s", false), Writing(made, "a", "1"), SessionsElsewhere());
    call.arguments[*call.deadline] = absl::StrCat(deadline);
    const RedisValue answer =
        connection
            ->Call(*call.script, RedisArguments(call.keys.begin(), call.keys.end()),
                   RedisArguments(call.arguments.begin(), call.arguments.end()))
            .value();
    return answer.is_error() ? answer.text : std::string(WordOf(answer));
  };
  EXPECT_EQ(word((seconds - 1) * 1000), "late");
  EXPECT_EQ(word((seconds + 3600) * 1000), "early");
  EXPECT_FALSE(FieldOf(*direct_, "s", "a").value.has_value());
  EXPECT_EQ(word((seconds + 6) * 1000), "ok");
}

// Says that it is an old Redis.
class OldConnection final : public RedisConnection {
 public:
  using RedisConnection::Append;
  void Append(const RedisArguments& command) override { is_time_ = command[0] == "TIME"; }
  absl::StatusOr<RedisValue> Receive() override {
    RedisValue number;
    number.kind = RedisValue::Kind::kText;
    number.text = "1";
    RedisValue answer;
    answer.kind = is_time_ ? RedisValue::Kind::kList : RedisValue::Kind::kText;
    if (is_time_) answer.list = {number, number};
    if (!is_time_) answer.text = "# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n";
    return answer;
  }
  bool is_broken() const override { return false; }
  bool HasBeenClosed() override { return false; }

 private:
  bool is_time_ = false;
};

class OldTopology final : public RedisTopology {
 public:
  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int) override {
    return std::make_unique<OldConnection>();
  }
  int GroupOf(int) override { return 0; }
  void Suspect(int, std::string_view) override {}
  absl::Status Confirm(int, int) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view) override {
    return Connect(0);
  }
  bool is_cluster() const override { return false; }
};

TEST(RedisVersionTest, AnOldServerIsNamed) {
  const auto store = RedisStore::Open(std::make_unique<OldTopology>());
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_EQ(store.status().message(), "Redis has version 6.2.14; 7.0 or newer is needed");
}

}  // namespace
}  // namespace dropoutd
