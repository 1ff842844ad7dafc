#include "server/base/quote.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

std::string Repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(Quote, PlainTextIsPutInQuotes) {
  EXPECT_EQ(Quote(""), "\"\"");
  EXPECT_EQ(Quote("drop"), "\"drop\"");
  EXPECT_EQ(Quote("Größe/層-1"), "\"Größe/層-1\"");
}

TEST(Quote, QuotesAndControlCharactersAreEscaped) {
  EXPECT_EQ(Quote("a\"b"), "\"a\\\"b\"");
  EXPECT_EQ(Quote("a\\b"), "\"a\\\\b\"");
  EXPECT_EQ(Quote("a\r\nb"), "\"a\\r\\nb\"");
  for (int c = 0; c < 0x20; ++c) {
    for (const char quoted : Quote(std::string(1, static_cast<char>(c)))) {
      EXPECT_GE(static_cast<unsigned char>(quoted), 0x20) << c;
    }
  }
  EXPECT_EQ(Quote("\x7f").find('\x7f'), std::string::npos);
}

TEST(Quote, LongTextIsCutAfter64Bytes) {
  const std::string longest(64, 'x');
  EXPECT_EQ(Quote(longest), absl::StrCat("\"", longest, "\""));
  EXPECT_EQ(Quote(longest + "y"), absl::StrCat("\"", longest, "\"..."));
  EXPECT_EQ(Quote(std::string(1 << 20, 'x')), absl::StrCat("\"", longest, "\"..."));
}

TEST(Quote, CutsBetweenCharacters) {
  // 3 bytes each: the 22nd character straddles the limit.
  EXPECT_EQ(Quote(Repeat("層", 30)), absl::StrCat("\"", Repeat("層", 21), "\"..."));
  // 4 bytes each: the limit falls between two.
  EXPECT_EQ(Quote(Repeat("😀", 17)), absl::StrCat("\"", Repeat("😀", 16), "\"..."));
  EXPECT_EQ(Quote(absl::StrCat("x", Repeat("😀", 16))),
            absl::StrCat("\"x", Repeat("😀", 15), "\"..."));
}

TEST(Quote, NoCharacterAtAllIsStillShort) {
  EXPECT_LE(Quote(std::string(1000, '\x80')).size(), 64u * 4 + 5);
}

}  // namespace
}  // namespace dropoutd
