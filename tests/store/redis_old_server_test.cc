// Redis: a server of format 1 and the present store on one Redis. It runs where the variable
// DROPOUTD_FORMAT1_FOLDER names a folder with that server's dropoutd and dropoutctl.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "server/store/redis_store.h"
#include "tests/store/redis_process.h"
#include "tests/store/redis_test_changes.h"

namespace dropoutd {
namespace {

class RedisOldServerTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* const programs = getenv("DROPOUTD_FORMAT1_FOLDER");
    if (programs == nullptr) GTEST_SKIP() << "DROPOUTD_FORMAT1_FOLDER is not set";
    programs_ = programs;
    std::string name = (std::filesystem::temp_directory_path() / "dropout-old-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    redis_ = std::make_unique<RedisProcess>();
    store_ = RedisStore::Open(redis_->address()).value();
    std::vector<std::string> words = {
        programs_ + "/dropoutd", "--listen", Address(), "--store",
        "redis://127.0.0.1:" + std::to_string(redis_->address().port)};
    std::vector<char*> argv;
    for (std::string& each : words) argv.push_back(each.data());
    argv.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&server_, words[0].c_str(), nullptr, nullptr, argv.data(), environ), 0);
  }
  void TearDown() override {
    if (server_ != 0) {
      kill(server_, SIGKILL);
      waitpid(server_, nullptr, 0);
    }
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string Address() const { return "unix:" + (folder_ / "socket").string(); }

  // What dropoutctl says; it waits for the server.
  std::string Ctl(const std::string& words) const {
    const std::string command =
        programs_ + "/dropoutctl --address " + Address() + " " + words + " 2>&1";
    std::string said;
    FILE* const pipe = popen(command.c_str(), "r");
    std::array<char, 4096> bytes{};
    while (const std::size_t size = fread(bytes.data(), 1, bytes.size(), pipe)) {
      said.append(bytes.data(), size);
    }
    pclose(pipe);
    return said;
  }

  static bool IsRefused(const std::string& said) {
    return said.find("DATA_LOSS STORE_CORRUPT") != std::string::npos;
  }

  std::string programs_;
  std::filesystem::path folder_;
  std::unique_ptr<RedisProcess> redis_;
  std::unique_ptr<RedisStore> store_;
  pid_t server_ = 0;
};

TEST_F(RedisOldServerTest, ItLeavesANewSessionAlone) {
  const StoreChange made = Making();
  ExpectDone(store_->Commit("s", made));
  EXPECT_TRUE(IsRefused(Ctl("session get s")));
  EXPECT_TRUE(IsRefused(Ctl("session create --id s")));
  EXPECT_TRUE(IsRefused(Ctl("layer list s")));
  const auto answer = store_->Query("s", {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->token, made.token);
}

TEST_F(RedisOldServerTest, ItsSessionsAreTakenOver) {
  EXPECT_NE(Ctl("session create --id s --ttl 10m --layer l,p=0.5").find("dropout"),
            std::string::npos);
  EXPECT_EQ(*store_->List("", "", 9), std::vector<std::string>{"s"});
  const auto answer = store_->Query("s", {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->parts.size(), 1U);
  EXPECT_EQ(answer->parts[0].name, "document");
  EXPECT_GT(answer->left, std::chrono::minutes(9));
  // From then on it is ours.
  EXPECT_TRUE(IsRefused(Ctl("session get s")));
  EXPECT_TRUE(IsRefused(Ctl("session create --id s")));
  EXPECT_EQ(store_->Query("s", {})->token, answer->token);
  EXPECT_EQ(*store_->Count(), 1U);
}

}  // namespace
}  // namespace dropoutd
