#include "client/cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace dropout::cli {
namespace {

TEST(TableTest, AlignsColumns) {
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"NOTE"}});
  table.AddRow({"a", "5", "first"});
  table.AddRow({"longer", "12345", ""});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "NAME     SIZE  NOTE\n"
            "a           5  first\n"
            "longer  12345\n");
}

TEST(TableTest, PrintsTitlesWithoutRows) {
  std::ostringstream out;
  Table({{"A"}, {"B"}}).Print(out);
  EXPECT_EQ(out.str(), "A  B\n");
}

TEST(TableTest, CountsCodePointsNotBytes) {
  EXPECT_EQ(DisplayWidth("naïve"), 5u);
  Table table({{"X"}, {"Y"}});
  table.AddRow({"é", "1"});
  table.AddRow({"ab", "2"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "X   Y\n"
            "é   1\n"
            "ab  2\n");
}

TEST(TableTest, PrintsFields) {
  std::ostringstream out;
  PrintFields(out, {{"id", "x"}, {"longer", "y"}, {"none", ""}});
  EXPECT_EQ(out.str(),
            "id      x\n"
            "longer  y\n"
            "none\n");
}

}  // namespace
}  // namespace dropout::cli
