#include "server/store/open_store.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

namespace dropoutd {
namespace {

TEST(OpenStoreTest, AddressesAreParsed) {
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*ParseStoreAddress("memory")));
  const auto sqlite = std::get<SqliteAddress>(*ParseStoreAddress("sqlite:a/b?c.db"));
  EXPECT_EQ(sqlite.path, "a/b?c.db");
  EXPECT_FALSE(sqlite.synchronous_full);
  EXPECT_TRUE(
      std::get<SqliteAddress>(*ParseStoreAddress("sqlite:x?synchronous=full")).synchronous_full);
  const auto redis = std::get<RedisUrl>(*ParseStoreAddress("redis://:secret@host:7/3"));
  EXPECT_EQ(redis.hosts, (std::vector<RedisHost>{{"host", 7}}));
  EXPECT_EQ(std::get<RedisUrl>(*ParseStoreAddress("redis+sentinel://a,b/p")).kind,
            RedisKind::kSentinel);
  EXPECT_EQ(std::get<RedisUrl>(*ParseStoreAddress("redis+cluster://a")).kind, RedisKind::kCluster);
}

TEST(OpenStoreTest, OtherTextIsRefusedWithoutASecret) {
  for (const std::string text :
       {"", "disk", "sqlite:", "redis://", "redis://h:x", "redis://me:hunter2%zz@h",
        "rediss://me:hunter2@h", "redis+other://me:hunter2@h"}) {
    const auto parsed = ParseStoreAddress(text);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(parsed.status().message().find("hunter2"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace dropoutd
