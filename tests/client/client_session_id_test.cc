#include <gtest/gtest.h>

#include <string>

#include "client/session_id.h"

namespace dropout {
namespace {

TEST(SessionIdTest, NewIdsAre32HexDigits) {
  const std::string id = NewSessionId();
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
}

TEST(SessionIdTest, NewIdsDiffer) { EXPECT_NE(NewSessionId(), NewSessionId()); }

TEST(SessionIdTest, ValidIds) {
  EXPECT_TRUE(IsValidSessionId("a"));
  EXPECT_TRUE(IsValidSessionId("Az09._-"));
  EXPECT_TRUE(IsValidSessionId(std::string(128, 'x')));
  EXPECT_TRUE(IsValidSessionId(NewSessionId()));
}

TEST(SessionIdTest, InvalidIds) {
  EXPECT_FALSE(IsValidSessionId(""));
  EXPECT_FALSE(IsValidSessionId(std::string(129, 'x')));
  for (const char* id : {"a b", "a/b", "a\n", "\x80", "ü"}) EXPECT_FALSE(IsValidSessionId(id));
}

}  // namespace
}  // namespace dropout
