#include "tests/store/store_conformance.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dropoutd {

using std::chrono::milliseconds;

void StoreConformanceTest::Create(const std::string& key, const std::string& document) {
  StoreChange change;
  change.expected_version = 0;
  change.document = document;
  change.expire_time = Later();
  const auto version = store().Commit(key, std::move(change));
  ASSERT_TRUE(version.ok()) << version.status();
  ASSERT_EQ(*version, 1u);
}

std::optional<std::string> StoreConformanceTest::Get(const std::string& key,
                                                     const std::string& field) {
  StoreQuery query;
  query.fields = {field};
  const auto answer = store().Query(key, query);
  EXPECT_TRUE(answer.ok()) << answer.status();
  if (!answer.ok() || answer->fields.size() != 1) return std::nullopt;
  EXPECT_EQ(answer->fields[0].name, field);
  return answer->fields[0].value;
}

namespace {

StoreChange Write(std::vector<StoreField> writes) {
  StoreChange change;
  change.writes = std::move(writes);
  return change;
}

TEST_P(StoreConformanceTest, AnEmptyStoreHasNothing) {
  EXPECT_TRUE(store().Check().ok());
  EXPECT_EQ(store().Query("s", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Remove("s").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Commit("s", Write({{"a", "1"}})).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store().List("", "", 10)->empty());
  EXPECT_EQ(*store().Count(), 0u);
  EXPECT_TRUE(store().Scan("s", {"", "z"}, 10)->empty());
  EXPECT_EQ(*store().EraseRange("s", {"", "z"}, 0), 0u);
}

TEST_P(StoreConformanceTest, DocumentsHaveVersions) {
  Create("s", "one");
  auto answer = store().Query("s", {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->version, 1u);
  EXPECT_EQ(answer->document, "one");

  StoreChange change;
  change.expected_version = 1;
  change.document = "two";
  EXPECT_EQ(*store().Commit("s", change), 2u);
  EXPECT_EQ(store().Commit("s", change).status().code(), absl::StatusCode::kAborted);
  change.expected_version.reset();
  change.document = "three";
  EXPECT_EQ(*store().Commit("s", change), 3u);

  StoreQuery known;
  known.known_version = 3;
  EXPECT_FALSE(store().Query("s", known)->document.has_value());
  known.known_version = 2;
  EXPECT_EQ(store().Query("s", known)->document, "three");
}

TEST_P(StoreConformanceTest, ASessionIsMadeOnce) {
  Create("s", "one");
  StoreChange change;
  change.expected_version = 0;
  change.document = "two";
  change.expire_time = Later();
  EXPECT_EQ(store().Commit("s", change).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(store().Query("s", {})->document, "one");
}

TEST_P(StoreConformanceTest, FieldsAreWrittenAndErased) {
  Create("s");
  EXPECT_EQ(*store().Commit("s", Write({{"a", "1"}, {"b", ""}, {"c", "3"}})), 1u);
  EXPECT_EQ(Get("s", "a"), "1");
  EXPECT_EQ(Get("s", "b"), "");
  EXPECT_EQ(Get("s", "d"), std::nullopt);
  EXPECT_EQ(*store().Commit("s", Write({{"a", std::nullopt}, {"c", "4"}})), 1u);
  EXPECT_EQ(Get("s", "a"), std::nullopt);
  EXPECT_EQ(Get("s", "c"), "4");

  StoreQuery query;
  query.known_version = 1;
  query.fields = {"c", "a", "b"};
  const auto answer = store().Query("s", query);
  ASSERT_EQ(answer->fields.size(), 3u);
  EXPECT_EQ(answer->fields[0].value, "4");
  EXPECT_EQ(answer->fields[1].value, std::nullopt);
  EXPECT_EQ(answer->fields[2].value, "");
}

TEST_P(StoreConformanceTest, ConditionsGuardAllOfAChange) {
  Create("s");
  ASSERT_TRUE(store().Commit("s", Write({{"a", "1"}})).ok());
  StoreChange change = Write({{"b", "2"}, {"a", std::nullopt}});
  change.document = "new";
  change.conditions = {{"a", "1"}, {"b", "x"}};
  EXPECT_EQ(store().Commit("s", change).status().code(), absl::StatusCode::kAborted);
  change.conditions = {{"a", std::nullopt}};
  EXPECT_EQ(store().Commit("s", change).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Get("s", "a"), "1");
  EXPECT_EQ(Get("s", "b"), std::nullopt);
  EXPECT_EQ(store().Query("s", {})->version, 1u);
  change.conditions = {{"a", "1"}, {"b", std::nullopt}};
  EXPECT_EQ(*store().Commit("s", change), 2u);
  EXPECT_EQ(Get("s", "b"), "2");
}

TEST_P(StoreConformanceTest, AnyBytesAreNamesAndValues) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string key = std::string("tenant/{s}\0:\n", 13) + all.substr(128);
  Create(key, all);
  ASSERT_TRUE(store().Commit(key, Write({{all, all + all}, {std::string(1, '\0'), "zero"}})).ok());
  EXPECT_EQ(Get(key, all), all + all);
  EXPECT_EQ(Get(key, std::string(1, '\0')), "zero");
  EXPECT_EQ(store().Query(key, {})->document, all);
  EXPECT_EQ(store().List("tenant/", "", 10)->at(0), key);
}

TEST_P(StoreConformanceTest, ValuesMayBeLarge) {
  Create("s");
  std::string large(std::size_t{10} << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 2654435761u >> 13);
  ASSERT_TRUE(store().Commit("s", Write({{"large", large}})).ok());
  EXPECT_TRUE(Get("s", "large") == large);
}

TEST_P(StoreConformanceTest, RangesAreInByteOrder) {
  Create("s");
  std::vector<StoreField> fields;
  for (const int i : {9, 3, 200, 0, 255, 7, 128}) {
    fields.push_back({std::string("f") + static_cast<char>(i), std::to_string(i)});
  }
  fields.push_back({"e", "before"});
  fields.push_back({"g", "after"});
  ASSERT_TRUE(store().Commit("s", Write(fields)).ok());
  const FieldRange all{"f", "g"};
  auto found = store().Scan("s", all, 100);
  ASSERT_TRUE(found.ok()) << found.status();
  std::vector<std::string> values;
  for (const StoreField& field : *found) values.push_back(*field.value);
  EXPECT_EQ(values, (std::vector<std::string>{"0", "3", "7", "9", "128", "200", "255"}));
  EXPECT_EQ(store().Scan("s", all, 2)->size(), 2u);
  EXPECT_EQ(store().Scan("s", {std::string("f\x07"), std::string("f\x80")}, 9)->size(), 2u);
  EXPECT_TRUE(store().Scan("s", {"g", "f"}, 9)->empty());

  EXPECT_EQ(*store().EraseRange("s", all, 7), 0u);
  EXPECT_EQ(*store().EraseRange("s", all, 3), 4u);
  found = store().Scan("s", all, 100);
  EXPECT_EQ(found->front().value, "128");
  EXPECT_EQ(*store().EraseRange("s", all, 0), 3u);
  EXPECT_EQ(Get("s", "e"), "before");
  EXPECT_EQ(Get("s", "g"), "after");
}

TEST_P(StoreConformanceTest, WhatIsRemovedIsGone) {
  Create("s");
  ASSERT_TRUE(store().Commit("s", Write({{"a", "1"}})).ok());
  EXPECT_TRUE(store().Remove("s").ok());
  EXPECT_EQ(store().Query("s", {}).status().code(), absl::StatusCode::kNotFound);
  Create("s");
  EXPECT_EQ(Get("s", "a"), std::nullopt);
}

TEST_P(StoreConformanceTest, SessionsExpire) {
  StoreChange change;
  change.expected_version = 0;
  change.document = "d";
  const StoreTime end = Later(std::chrono::seconds(1));
  change.expire_time = end;
  change.writes = {{"a", "1"}};
  ASSERT_TRUE(store().Commit("short", change).ok());
  ASSERT_TRUE(store().Commit("renewed", change).ok());
  StoreQuery renewal;
  renewal.expire_time = Later();
  ASSERT_TRUE(store().Query("renewed", renewal).ok());
  // By the store's clock, which need not be this machine's.
  const auto there = store().Query("short", {});
  ASSERT_TRUE(there.ok()) << there.status();
  under_test_->AwaitEnd(there->expire_time);
  EXPECT_EQ(store().Query("short", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().Commit("short", Write({{"a", "2"}})).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("renewed", "a"), "1");
  EXPECT_EQ(*store().List("", "", 10), std::vector<std::string>{"renewed"});
  Create("short");
  EXPECT_EQ(Get("short", "a"), std::nullopt);
  EXPECT_TRUE(store().RemoveExpired().ok());
  EXPECT_EQ(*store().Count(), 2u);
}

// Whoever renews may not know that another renewal came before.
TEST_P(StoreConformanceTest, RenewalsOnlyProlong) {
  Create("s");
  constexpr auto kTolerance = std::chrono::minutes(10);  // Of a store with a clock of its own.
  const StoreTime late = Later(std::chrono::hours(3));
  for (const auto earlier : {std::chrono::hours(0), std::chrono::hours(2)}) {
    StoreQuery renewal;
    renewal.expire_time = late - earlier;
    const auto answer = store().Query("s", renewal);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_GT(answer->expire_time, late - kTolerance);
    EXPECT_LT(answer->expire_time, late + kTolerance);
  }
  EXPECT_GT(store().Query("s", {})->expire_time, late - kTolerance);
}

// Copies of what is here are good only within one history.
TEST_P(StoreConformanceTest, WhatWasLostIsTold) {
  Create("s");
  const std::uint64_t history = store().history();
  EXPECT_TRUE(store().Query("s", {}).ok());
  EXPECT_EQ(store().history(), history);
  const bool is_lost = under_test_->LoseHistory();
  ASSERT_TRUE(store().Check().ok());
  EXPECT_EQ(store().Query("s", {}).ok(), !is_lost);
  EXPECT_EQ(store().history() != history, is_lost);
}

TEST_P(StoreConformanceTest, ListsArePaged) {
  for (const char* key : {"red/b", "blue/a", "red/a", "red/c", "rose/a"}) Create(key);
  using Keys = std::vector<std::string>;
  EXPECT_EQ(*store().List("red/", "", 10), (Keys{"red/a", "red/b", "red/c"}));
  EXPECT_EQ(*store().List("red/", "red/a", 1), Keys{"red/b"});
  EXPECT_EQ(*store().List("red/", "red/c", 1), Keys{});
  EXPECT_EQ(*store().List("", "", 10), (Keys{"blue/a", "red/a", "red/b", "red/c", "rose/a"}));
  EXPECT_EQ(*store().Count(), 5u);
}

TEST_P(StoreConformanceTest, ChangesOfOneThreadKeepTheirOrder) {
  Create("s");
  constexpr int kChanges = 500;
  std::mutex mutex;
  std::condition_variable changed;
  int done = 0;
  for (int i = 0; i < kChanges; ++i) {
    store().StartCommit("s", Write({{"last", std::to_string(i)}}), [&](const auto& committed) {
      EXPECT_TRUE(committed.ok()) << committed.status();
      const std::lock_guard lock(mutex);
      ++done;
      changed.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return done == kChanges; });
  EXPECT_EQ(Get("s", "last"), std::to_string(kChanges - 1));
}

TEST_P(StoreConformanceTest, NoUpdateIsLost) {
  Create("s", "0");
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach;) {
        const auto answer = store().Query("s", {});
        ASSERT_TRUE(answer.ok()) << answer.status();
        StoreChange change;
        change.expected_version = answer->version;
        change.document = std::to_string(std::stoi(*answer->document) + 1);
        const auto committed = store().Commit("s", std::move(change));
        if (committed.ok()) {
          ++i;
        } else {
          ASSERT_EQ(committed.status().code(), absl::StatusCode::kAborted);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto answer = store().Query("s", {});
  EXPECT_EQ(answer->document, std::to_string(kThreads * kEach));
  EXPECT_EQ(answer->version, static_cast<StoreVersion>(kThreads * kEach + 1));
}

TEST_P(StoreConformanceTest, ManyThreadsOnManySessions) {
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string key = "s" + std::to_string(t);
      Create(key);
      for (int i = 0; i < kEach; ++i) {
        const std::string value = std::to_string(i);
        if (!store().Commit(key, Write({{"f" + value, value}})).ok()) ++failed;
        if (Get(key, "f" + value) != value) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(store().Scan("s" + std::to_string(t), {"f", "g"}, 1000)->size(),
              static_cast<std::size_t>(kEach));
  }
}

}  // namespace
}  // namespace dropoutd
