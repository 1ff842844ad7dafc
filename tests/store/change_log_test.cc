#include "server/store/change_log.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>

namespace dropoutd {
namespace {

StoreChange ChangeOf(Token token, const std::string& name) {
  StoreChange change;
  change.token = token;
  change.parts = {{name, "value"}};
  return change;
}

// Changes 1 to `count`; each writes a part of its number.
ChangeLog LogOf(std::uint64_t count) {
  ChangeLog log;
  for (std::uint64_t i = 1; i <= count; ++i) log.Add(ChangeOf({0, i}, std::to_string(i)), i);
  return log;
}

TEST(ChangeLogTest, RemembersTheLastChanges) {
  const ChangeLog log = LogOf(70);
  EXPECT_EQ(log.Find({0, 6}), nullptr);
  ASSERT_NE(log.Find({0, 7}), nullptr);
  EXPECT_EQ(log.Find({0, 7})->erased, 7u);
  EXPECT_EQ(log.NamesSince({0, 6}), std::nullopt);
  EXPECT_EQ(log.NamesSince({0, 7})->size(), 63u);
  EXPECT_EQ(log.NamesSince({0, 68}), (std::set<std::string>{"69", "70"}));
  EXPECT_TRUE(log.NamesSince({0, 70})->empty());
}

TEST(ChangeLogTest, OldChangesLoseNamesThatAreTooLong) {
  ChangeLog log = LogOf(3);
  log.Add(ChangeOf({0, 4}, std::string(ChangeLog::kMostNameBytes, 'n')), 0);
  log.Add(ChangeOf({0, 5}, "five"), 0);
  EXPECT_NE(log.Find({0, 1}), nullptr);
  EXPECT_EQ(log.NamesSince({0, 3}), std::nullopt);
  EXPECT_EQ(log.NamesSince({0, 4}), std::set<std::string>{"five"});
}

TEST(ChangeLogTest, IsTheSameAfterItsBytes) {
  ChangeLog log = LogOf(70);
  log.Add(ChangeOf({1, 2}, std::string(ChangeLog::kMostNameBytes, 'n')), 0);
  log.Add(ChangeOf({1, 3}, std::string("\0x", 2)), 5);
  const std::string bytes = log.Bytes();
  const auto read = ChangeLog::FromBytes(bytes);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->Bytes(), bytes);
  EXPECT_EQ(read->Find({1, 3})->erased, 5u);
  EXPECT_EQ(read->NamesSince({1, 2}), std::set<std::string>{std::string("\0x", 2)});
  EXPECT_EQ(read->NamesSince({0, 70}), std::nullopt);
  EXPECT_TRUE(ChangeLog::FromBytes("").has_value());
  EXPECT_FALSE(ChangeLog::FromBytes(bytes.substr(0, bytes.size() - 1)).has_value());
}

}  // namespace
}  // namespace dropoutd
