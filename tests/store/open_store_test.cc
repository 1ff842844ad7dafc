#include "server/store/open_store.h"

#include <gtest/gtest.h>

#include <string>

namespace dropoutd {
namespace {

TEST(OpenStoreTest, AddressesAreParsed) {
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*ParseStoreAddress("memory")));
  const auto sqlite = std::get<SqliteAddress>(*ParseStoreAddress("sqlite:a/b?c.db"));
  EXPECT_EQ(sqlite.path, "a/b?c.db");
  EXPECT_FALSE(sqlite.synchronous_full);
  EXPECT_TRUE(
      std::get<SqliteAddress>(*ParseStoreAddress("sqlite:x?synchronous=full")).synchronous_full);
  auto redis = std::get<RedisAddress>(*ParseStoreAddress("redis://host"));
  EXPECT_EQ(redis.host, "host");
  EXPECT_EQ(redis.port, 6379);
  redis = std::get<RedisAddress>(*ParseStoreAddress("redis://me:p%40ss%3a@[::1]:7000/3"));
  EXPECT_EQ(redis.host, "::1");
  EXPECT_EQ(redis.port, 7000);
  EXPECT_EQ(redis.user, "me");
  EXPECT_EQ(redis.password, "p@ss:");
  EXPECT_EQ(redis.database, 3);
}

TEST(OpenStoreTest, OtherTextIsRefusedWithoutASecret) {
  for (const std::string text :
       {"", "disk", "sqlite:", "redis://", "redis://:1", "redis://h:0", "redis://h:65536",
        "redis://h:x", "redis://h/x", "redis://h/-1", "redis://hunter2@h", "redis://me:@h",
        "redis://me:hunter2%4@h", "redis://me:hunter2%zz@h"}) {
    const auto parsed = ParseStoreAddress(text);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(parsed.status().message().find("hunter2"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace dropoutd
