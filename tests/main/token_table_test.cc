#include "server/main/auth/token_table.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

// SHA-256 of "abc" and of "" (FIPS 180-2, appendix B.1, and its known empty answer).
constexpr char kAbc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kEmpty[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(24 * 365 * 60);

std::string ErrorOf(const std::string& text) {
  const auto table = TokenTable::Parse(text);
  return table.ok() ? "OK" : std::string(table.status().message());
}

TEST(TokenTableTest, KnowsTokensByTheirHashes) {
  const TokenTable table =
      TokenTable::Parse(absl::StrCat("# comment\n\n  red  ", kAbc, "\t\r\nblue ", kEmpty)).value();
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.TenantOf("abc", kNow), "red");
  EXPECT_EQ(table.TenantOf("", kNow), "blue");
  EXPECT_EQ(table.TenantOf("abd", kNow), std::nullopt);
  EXPECT_EQ(table.TenantOf(kAbc, kNow), std::nullopt);  // The hash is not the token.
}

TEST(TokenTableTest, HashesMayBeInCapitals) {
  std::string hash = kAbc;
  for (std::size_t i = 7; i < hash.size(); ++i) hash[i] = static_cast<char>(std::toupper(hash[i]));
  EXPECT_EQ(TokenTable::Parse("red " + hash).value().TenantOf("abc", kNow), "red");
}

TEST(TokenTableTest, TokensExpire) {
  const TokenTable table =
      TokenTable::Parse(absl::StrCat("red ", kAbc, " expires=2030-01-31T12:00:00Z")).value();
  absl::Time end;
  std::string error;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, "2030-01-31T12:00:00Z", &end, &error));
  EXPECT_EQ(table.TenantOf("abc", end - absl::Seconds(1)), "red");
  EXPECT_EQ(table.TenantOf("abc", end), std::nullopt);
}

TEST(TokenTableTest, AnEmptyFileLetsNobodyIn) {
  EXPECT_EQ(TokenTable::Parse("").value().TenantOf("", kNow), std::nullopt);
}

TEST(TokenTableTest, ErrorsNameTheLineAndQuoteNothing) {
  const std::string secret = "dropout_this-is-a-token";
  for (const std::string& line :
       {secret, "red " + secret, secret + " " + kAbc + " " + secret,
        absl::StrCat("red ", kAbc, " ", secret), absl::StrCat("red ", kAbc, "0"),
        absl::StrCat("red ", kAbc, " expires=tomorrow"), absl::StrCat("r/d ", kAbc),
        absl::StrCat(std::string(65, 'r'), " ", kAbc), absl::StrCat("red ", kAbc, " a b")}) {
    const std::string error = ErrorOf(absl::StrCat("red ", kEmpty, "\n", line));
    EXPECT_EQ(error.substr(0, 8), "line 2: ") << line << ": " << error;
    EXPECT_EQ(error.find(secret), std::string::npos) << error;
  }
}

TEST(TokenTableTest, AHashStandsThereOnce) {
  EXPECT_EQ(ErrorOf(absl::StrCat("red ", kAbc, "\nblue ", kAbc)),
            "line 2: the hash is there twice");
}

}  // namespace
}  // namespace dropoutd
