// Each kind of store, for the conformance suite.
#ifndef DROPOUTD_TESTS_STORE_STORES_UNDER_TEST_H_
#define DROPOUTD_TESTS_STORE_STORES_UNDER_TEST_H_

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/store/memory_store.h"
#include "server/store/redis_store.h"
#include "server/store/sqlite_store.h"
#include "tests/store/redis_process.h"
#include "tests/store/store_conformance.h"

namespace dropoutd {

// Goes with what is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dropout-store-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Puts a store around the store that it is given, or returns that one.
using WrapStore = std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)>;

class MemoryUnderTest final : public StoreUnderTest {
 public:
  explicit MemoryUnderTest(const WrapStore& wrap)
      : store_(wrap(std::make_unique<MemoryStore>([this] { return now_; }))) {}

  Store& store() override { return *store_; }
  StoreTime Now() override { return now_; }
  void AwaitEnd(StoreTime end) override { now_ = end; }
  bool LoseHistory() override { return false; }

 private:
  StoreTime now_ = std::chrono::system_clock::now();
  const std::unique_ptr<Store> store_;
};

class SqliteUnderTest final : public StoreUnderTest {
 public:
  explicit SqliteUnderTest(const WrapStore& wrap) {
    SqliteOptions options;
    options.now = [this] { return now_.load(); };
    store_ = wrap(SqliteStore::Open(folder_.File("sessions.db"), options).value());
  }

  Store& store() override { return *store_; }
  StoreTime Now() override { return now_; }
  void AwaitEnd(StoreTime end) override { now_ = end; }
  bool LoseHistory() override { return false; }

 private:
  TemporaryFolder folder_;
  std::atomic<StoreTime> now_ = std::chrono::system_clock::now();
  std::unique_ptr<Store> store_;
};

class RedisUnderTest final : public StoreUnderTest {
 public:
  explicit RedisUnderTest(const WrapStore& wrap)
      : store_(wrap(RedisStore::Open(redis_.address()).value())) {}

  Store& store() override { return *store_; }
  StoreTime Now() override { return std::chrono::system_clock::now(); }
  // Redis counts whole milliseconds, and a key lives to the end of its last one.
  void AwaitEnd(StoreTime end) override {
    using std::chrono::milliseconds;
    std::this_thread::sleep_until(std::chrono::ceil<milliseconds>(end) + milliseconds(1));
  }
  // It keeps nothing on its disk.
  bool LoseHistory() override {
    redis_.Kill();
    redis_.Start();
    return true;
  }

 private:
  RedisProcess redis_;
  const std::unique_ptr<Store> store_;
};

// "Memory", "Sqlite" or "Redis", which makes null where there is no redis-server.
inline StoreKind MakeStoreKind(
    const std::string& name, WrapStore wrap = [](auto store) { return store; }) {
  return {name, [name, wrap = std::move(wrap)]() -> std::unique_ptr<StoreUnderTest> {
            if (name == "Memory") return std::make_unique<MemoryUnderTest>(wrap);
            if (name == "Sqlite") return std::make_unique<SqliteUnderTest>(wrap);
            if (!HasRedis()) return nullptr;
            return std::make_unique<RedisUnderTest>(wrap);
          }};
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_STORES_UNDER_TEST_H_
