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
#include <utility>

#include "server/store/memory_store.h"
#include "server/store/sqlite_store.h"
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

// A clock that stands still until a test moves it.
class StoreClock {
 public:
  std::chrono::steady_clock::time_point Now() const {
    return std::chrono::steady_clock::time_point(std::chrono::hours(10)) + since_.load();
  }
  void Advance(std::chrono::milliseconds by) { since_ = since_.load() + by; }

 private:
  std::atomic<std::chrono::milliseconds> since_ = std::chrono::milliseconds(0);
};

class MemoryUnderTest final : public StoreUnderTest {
 public:
  explicit MemoryUnderTest(const WrapStore& wrap)
      : store_(wrap(std::make_unique<MemoryStore>([this] { return clock_.Now(); }))) {}

  Store& store() override { return *store_; }
  bool Advance(std::chrono::milliseconds by) override {
    clock_.Advance(by);
    return true;
  }

 private:
  StoreClock clock_;
  const std::unique_ptr<Store> store_;
};

class SqliteUnderTest final : public StoreUnderTest {
 public:
  explicit SqliteUnderTest(const WrapStore& wrap) {
    SqliteOptions options;
    options.now = [this] { return clock_.Now(); };
    store_ = wrap(SqliteStore::Open(folder_.File("sessions.db"), options).value());
  }

  Store& store() override { return *store_; }
  bool Advance(std::chrono::milliseconds by) override {
    clock_.Advance(by);
    return true;
  }

 private:
  TemporaryFolder folder_;
  StoreClock clock_;
  std::unique_ptr<Store> store_;
};

// "Memory" or "Sqlite".
inline StoreKind MakeStoreKind(
    const std::string& name, WrapStore wrap = [](auto store) { return store; }) {
  return {name, [name, wrap = std::move(wrap)]() -> std::unique_ptr<StoreUnderTest> {
            if (name == "Memory") return std::make_unique<MemoryUnderTest>(wrap);
            return std::make_unique<SqliteUnderTest>(wrap);
          }};
}

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_STORE_STORES_UNDER_TEST_H_
