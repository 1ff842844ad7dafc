#include "server/main/gate/request_names.h"

#include <gtest/gtest.h>

#include <string>

namespace dropoutd {
namespace {

TEST(RequestIdTest, HasARange) {
  EXPECT_TRUE(IsRequestId("AZaz09._-"));
  EXPECT_TRUE(IsRequestId(std::string(64, 'x')));
  for (const std::string& text : {std::string(), std::string(65, 'x'), std::string("a b"),
                                  std::string("a\nb"), std::string("\"}"), std::string("a\0", 2)}) {
    EXPECT_FALSE(IsRequestId(text)) << text;
  }
}

TEST(TraceIdTest, ReadsTheStandardsExample) {
  // https://www.w3.org/TR/trace-context/, section 3.2.
  EXPECT_EQ(TraceIdOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            "0af7651916cd43dd8448eb211c80319c");
}

TEST(TraceIdTest, LaterVersionsMayGoOn) {
  EXPECT_EQ(TraceIdOf("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"),
            "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(TraceIdOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"), "");
  EXPECT_EQ(TraceIdOf("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more"), "");
}

TEST(TraceIdTest, WhatIsNoHeaderHasNone) {
  for (const char* const text : {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                                 "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                 "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                 "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                 "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                 "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
                                 "00-0af7651916cd43dd8448eb211c8031\"}-b7ad6b7169203331-01"}) {
    EXPECT_EQ(TraceIdOf(text), "") << text;
  }
}

}  // namespace
}  // namespace dropoutd
