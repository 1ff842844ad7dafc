// A disk that is full.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <array>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "server/store/sqlite_reserve.h"
#include "tests/store/sqlite_test.h"

namespace dropoutd {
namespace {

namespace fs = std::filesystem;

class SqliteFullDiskTest : public SqliteStoreTest {
 protected:
  static constexpr int kCannotTry = 99;

  static SqliteOptions FewPages() {
    SqliteOptions options;
    options.most_pages = 100;
    return options;
  }

  // Writes fields until there is no room; their tokens, in order.
  static std::vector<Token> FillUp(SqliteStore& store, const StoreChange& making) {
    std::vector<Token> tokens;
    for (std::size_t size : {100'000, 3'000, 10}) {
      while (tokens.size() < 100'000) {
        const StoreChange change =
            Field(making, std::to_string(tokens.size()), std::string(size, 'x'));
        if (!store.Commit("s", change).ok()) break;
        tokens.push_back(change.token);
      }
    }
    return tokens;
  }

  // Fills the disk at `path`, and removes in each way. Returns where it failed, 0 for nowhere.
  static int TryToRemove(const std::string& path, const SqliteOptions& options) {
    auto opened = SqliteStore::Open(path, options);
    if (!opened.ok()) return __LINE__;
    SqliteStore& store = **opened;
    const StoreChange making = New("document");
    if (!IsDone(store.Commit("s", making))) return __LINE__;
    if (!IsDone(store.Commit("t", making))) return __LINE__;
    const std::vector<Token> tokens = FillUp(store, making);
    if (tokens.size() < 3) return __LINE__;
    if (store.Commit("s", Field(making, "large", std::string(100'000, 'x'))).ok()) return __LINE__;
    if (!IsDone(store.Remove("t", making.incarnation, Token::Random()))) return __LINE__;
    if (!IsDone(store.Commit("s", Field(making, "0", std::nullopt, tokens[0])))) return __LINE__;
    const auto erased = store.EraseRange("s", making.incarnation, {}, {"1", "2"}, 0, 1000);
    if (!erased.ok() || *erased == 0) return __LINE__;
    StoreChange erasure = Field(making, "1", std::nullopt);
    erasure.erases = {{"0", "3"}};
    erasure.most_erased = 100'000;
    if (!IsDone(store.Commit("s", erasure))) return __LINE__;
    StoreChange again = Field(making, "again", std::string(1000, 'x'));
    again.expected = erasure.token;
    if (!IsDone(store.Commit("s", again))) return __LINE__;
    if (!IsDone(store.Remove("s", making.incarnation, Token::Random()))) return __LINE__;
    return store.RemoveExpired().ok() ? 0 : __LINE__;
  }
};

TEST_F(SqliteFullDiskTest, LosesNothing) {
  const auto store = Open(FewPages());
  const StoreChange making = New("document");
  ASSERT_TRUE(IsDone(store->Commit("s", making)));
  const StoreChange small = Field(making, "small", "1");
  ASSERT_TRUE(IsDone(store->Commit("s", small)));
  const auto full = store->Commit("s", Field(making, "large", std::string(1 << 20, 'x')));
  EXPECT_EQ(ReasonText(full.status()), "STORE_UNAVAILABLE");
  StoreQuery query;
  query.fields = {"small", "large"};
  const auto answer = store->Query("s", query);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->fields[0].value, "1");
  EXPECT_EQ(answer->fields[1].value, std::nullopt);
  // There is room for this.
  EXPECT_TRUE(IsDone(store->Commit("s", Field(making, "small", "2", small.token))));
}

// Though they wait for each other, and are first made together.
TEST_F(SqliteFullDiskTest, OneThatDoesNotFitTakesNoOtherWithIt) {
  const auto store = Open(FewPages());
  const StoreChange making = New("document");
  ASSERT_TRUE(IsDone(store->Commit("s", making)));
  std::vector<std::future<bool>> done;
  for (int i = 0; i < 40; ++i) {
    const std::size_t size = i % 10 == 5 ? 1 << 20 : 10;
    const auto promise = std::make_shared<std::promise<bool>>();
    done.push_back(promise->get_future());
    store->StartCommit("s", Field(making, std::to_string(i), std::string(size, 'x')),
                       [promise](auto result) { promise->set_value(IsDone(result)); });
  }
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(done[static_cast<std::size_t>(i)].get(), i % 10 != 5) << i;
  }
}

TEST_F(SqliteFullDiskTest, RefusesNoRemovalWherePagesAreFew) {
  EXPECT_EQ(TryToRemove(path_, FewPages()), 0) << "the line of the first failure";
}

// A disk of 16 MiB, all of which fields take, but for the reserve.
TEST_F(SqliteFullDiskTest, RefusesNoRemovalWhereTheDiskIsFull) {
  const std::string disk = folder_.File("disk");
  fs::create_directory(disk);
  const int result = InChild([&] {
    // A mount that nobody else sees, and that goes with the child.
    if (unshare(CLONE_NEWNS) != 0) return kCannotTry;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kCannotTry;
    if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=16m") != 0) return kCannotTry;
    if (const int failed = TryToRemove(disk + "/sessions.db", {}); failed != 0) return failed % 90;
    return 0;
  });
  if (result == kCannotTry) GTEST_SKIP() << "only root may mount a disk";
  EXPECT_EQ(result, 0) << "the line of the first failure";
}

// Though it is one change that takes more than the reserve has.
TEST_F(SqliteFullDiskTest, ReleasesMoreThanTheReserveHas) {
  const std::string disk = folder_.File("disk");
  fs::create_directory(disk);
  const int result = InChild([&] {
    if (unshare(CLONE_NEWNS) != 0) return kCannotTry;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kCannotTry;
    if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=40m") != 0) return kCannotTry;
    auto store = SqliteStore::Open(disk + "/sessions.db", {});
    if (!store.ok()) return 1;
    const StoreChange making = New("document");
    if (!IsDone((*store)->Commit("s", making))) return 2;
    constexpr int kFields = 3 * static_cast<int>(SqliteReserve::kBytes >> 20);
    for (int i = 0; i < kFields; ++i) {
      const StoreChange change =
          Field(making, "large" + std::to_string(i), std::string(1 << 20, 'x'));
      if (!IsDone((*store)->Commit("s", change))) return 3;
    }
    FillUp(**store, making);
    StoreChange erasure = Field(making, "large", std::nullopt);
    erasure.writes.clear();
    erasure.erases = {{"large", "m"}};
    if (!IsDone((*store)->Commit("s", erasure))) return 4;
    StoreChange again = Field(making, "again", std::string(1 << 20, 'x'));
    again.expected = erasure.token;
    return IsDone((*store)->Commit("s", again)) ? 0 : 5;
  });
  if (result == kCannotTry) GTEST_SKIP() << "only root may mount a disk";
  EXPECT_EQ(result, 0);
}

// Nor after what the first ones have freed was filled.
TEST_F(SqliteFullDiskTest, RefusesNoRemovalWhereTheDiskIsFullAgain) {
  const std::string disk = folder_.File("disk");
  fs::create_directory(disk);
  const int result = InChild([&] {
    if (unshare(CLONE_NEWNS) != 0) return kCannotTry;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kCannotTry;
    if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=24m") != 0) return kCannotTry;
    auto store = SqliteStore::Open(disk + "/sessions.db", {});
    if (!store.ok()) return 1;
    const StoreChange making = New("document");
    for (const char* const key : {"s", "a", "b", "c"}) {
      if (!IsDone((*store)->Commit(key, making))) return 2;
    }
    for (int i = 0; i < 4; ++i) {
      FillUp(**store, making);
      const char* const key = std::array{"a", "b", "c", "s"}[static_cast<std::size_t>(i)];
      if (!IsDone((*store)->Remove(key, making.incarnation, Token::Random()))) return 3 + i;
    }
    return 0;
  });
  if (result == kCannotTry) GTEST_SKIP() << "only root may mount a disk";
  EXPECT_EQ(result, 0);
}

TEST_F(SqliteFullDiskTest, RoomIsKeptForRemovals) {
  const std::string reserve = path_ + ".reserve";
  const auto store = Open();
  ASSERT_TRUE(fs::exists(reserve));
  EXPECT_EQ(fs::file_size(reserve), SqliteReserve::kBytes);
  // It is there again after it was given up.
  SqliteReserve another(path_);
  EXPECT_TRUE(another.GiveUp());
  EXPECT_FALSE(fs::exists(reserve));
  EXPECT_FALSE(another.GiveUp());
  another.Keep();
  EXPECT_EQ(fs::file_size(reserve), SqliteReserve::kBytes);
}

}  // namespace
}  // namespace dropoutd
