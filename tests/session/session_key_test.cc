#include "server/session/session_key.h"

#include <gtest/gtest.h>

namespace dropoutd {
namespace {

TEST(SessionKeyTest, PartsComeBack) {
  const std::string key = SessionKey("acme", "train-1");
  EXPECT_EQ(TenantOf(key), "acme");
  EXPECT_EQ(SessionIdOf(key), "train-1");
}

TEST(SessionKeyTest, WithoutATenantTheIdIsTheKey) {
  EXPECT_EQ(SessionKey("", "train-1"), "train-1");
  EXPECT_EQ(TenantOf("train-1"), "");
  EXPECT_EQ(SessionIdOf("train-1"), "train-1");
  EXPECT_EQ(SessionKey("", ""), "");
}

TEST(SessionKeyTest, NoIdReachesAnotherTenant) {
  for (const char* const id : {"acme/train-1", "/train-1", "//", "acme/"}) {
    EXPECT_EQ(TenantOf(SessionKey("", id)), "") << id;
    EXPECT_EQ(SessionIdOf(SessionKey("", id)), id);
    EXPECT_EQ(TenantOf(SessionKey("red", id)), "red") << id;
    EXPECT_EQ(SessionIdOf(SessionKey("red", id)), id);
  }
}

}  // namespace
}  // namespace dropoutd
