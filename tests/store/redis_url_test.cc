#include "server/store/redis_url.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/store/redis_slots.h"

namespace dropoutd {
namespace {

TEST(RedisUrlTest, OneServer) {
  auto url = ParseRedisUrl("redis://host").value();
  EXPECT_EQ(url.kind, RedisKind::kSingle);
  EXPECT_EQ(url.hosts, (std::vector<RedisHost>{{"host", 6379}}));
  EXPECT_EQ(url.login, RedisLogin());
  EXPECT_EQ(url.database, 0);
  EXPECT_EQ(url.wait_replicas, 0);
  url = ParseRedisUrl("redis://me:p%40ss%3a@[::1]:7000/3?wait_replicas=2").value();
  EXPECT_EQ(url.hosts, (std::vector<RedisHost>{{"::1", 7000}}));
  EXPECT_EQ(url.login, (RedisLogin{"me", "p@ss:"}));
  EXPECT_EQ(url.database, 3);
  EXPECT_EQ(url.wait_replicas, 2);
  EXPECT_EQ(ParseRedisUrl("redis://h/")->database, 0);
}

TEST(RedisUrlTest, Sentinels) {
  auto url = ParseRedisUrl("redis+sentinel://a,b:1,[fe80::1%25eth0],[::2]:2/my%2Fprimary").value();
  EXPECT_EQ(url.kind, RedisKind::kSentinel);
  EXPECT_EQ(url.hosts,
            (std::vector<RedisHost>{{"a", 26379}, {"b", 1}, {"fe80::1%eth0", 26379}, {"::2", 2}}));
  EXPECT_EQ(url.primary, "my/primary");
  EXPECT_EQ(url.database, 0);
  url = ParseRedisUrl(
            "redis+sentinel://:data@a/p/7?sentinel_password=%26%3D%3f%25&wait_replicas=1"
            "&sentinel_user=s")
            .value();
  EXPECT_EQ(url.login, (RedisLogin{"", "data"}));
  EXPECT_EQ(url.sentinel_login, (RedisLogin{"s", "&=?%"}));
  EXPECT_EQ(url.primary, "p");
  EXPECT_EQ(url.database, 7);
  EXPECT_EQ(url.wait_replicas, 1);
}

TEST(RedisUrlTest, ACluster) {
  const auto url = ParseRedisUrl("redis+cluster://u%3A:p@a,[::1]:7?wait_replicas=0").value();
  EXPECT_EQ(url.kind, RedisKind::kCluster);
  EXPECT_EQ(url.hosts, (std::vector<RedisHost>{{"a", 6379}, {"::1", 7}}));
  EXPECT_EQ(url.login, (RedisLogin{"u:", "p"}));
}

// Any byte of a password can be encoded, and all but % stand for themselves: so it has always been.
TEST(RedisUrlTest, PasswordsOfAnyBytes) {
  std::string password;
  std::string encoded;
  for (int byte = 0; byte < 256; ++byte) {
    const char* const digits = "0123456789abcdef";
    password += static_cast<char>(byte);
    encoded += {'%', digits[byte / 16], digits[byte % 16]};
  }
  EXPECT_EQ(ParseRedisUrl("redis://:" + encoded + "@h")->login.password, password);
  EXPECT_EQ(ParseRedisUrl("redis://:a/b?c@d,e:f&g@h")->login.password, "a/b?c@d,e:f&g");
}

TEST(RedisUrlTest, WhatIsWrongIsRefusedWithoutASecret) {
  for (const std::string text : {"redis://",
                                 "redis://:1",
                                 "redis://h:0",
                                 "redis://h:65536",
                                 "redis://h:x",
                                 "redis://h:+1",
                                 "redis://h:",
                                 "redis://h/x",
                                 "redis://h/-1",
                                 "redis://h/1/2",
                                 "redis://hunter2@h",
                                 "redis://me:@h",
                                 "redis://me:hunter2%4@h",
                                 "redis://me:hunter2%zz@h",
                                 "redis://a,b",
                                 "redis://::1",
                                 "redis://[::1",
                                 "redis://[::1]7",
                                 "redis://a%00b",
                                 "redis://h?wait_replicas",
                                 "redis://h?wait_replicas=-1",
                                 "redis://h?wait_replicas=101",
                                 "redis://h?wait_replicas=1&wait_replicas=1",
                                 "redis://h?sentinel_password=hunter2",
                                 "redis://h?hunter2=1",
                                 "redis://me:hunter2@",
                                 "redis+sentinel://h",
                                 "redis+sentinel://h/",
                                 "redis+sentinel://h,/p",
                                 "redis+sentinel:///p",
                                 "redis+sentinel://h/p/x",
                                 "redis+sentinel://h/p?sentinel_user=u",
                                 "redis+sentinel://h/p?sentinel_password=hunter2@",
                                 "redis+cluster://h/0",
                                 "redis+cluster://h,",
                                 "redis+other://h",
                                 "redis:h",
                                 "rediss://:hunter2@h",
                                 "rediss+cluster://:hunter2@h"}) {
    const auto parsed = ParseRedisUrl(text);
    EXPECT_TRUE(IsRedisUrl(text)) << text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(parsed.status().message().find("hunter2"), std::string::npos) << text;
  }
  EXPECT_NE(ParseRedisUrl("rediss://h").status().message().find("TLS"), std::string::npos);
  EXPECT_FALSE(IsRedisUrl("sqlite:redis"));
}

// The values of the cluster specification and of a server's CLUSTER KEYSLOT.
TEST(RedisSlotsTest, AsRedisCountsThem) {
  EXPECT_EQ(RedisSlotOf(""), 0);
  EXPECT_EQ(RedisSlotOf("123456789"), 0x31C3);
  EXPECT_EQ(RedisSlotOf("0"), 13907);
  EXPECT_EQ(RedisSlotOf("\xFF\x80"), 4727);
}

}  // namespace
}  // namespace dropoutd
