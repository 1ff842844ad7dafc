#include "client/cli/picture.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

constexpr TerminalSize kRoom{80, 24};

std::string Draw(const Mask& mask, bool ascii, TerminalSize room = kRoom) {
  return DrawMask(MaskGrid(mask), room, ascii);
}

TEST(PictureTest, AsciiIsALineARow) {
  EXPECT_EQ(Draw(MakeMask({4, 5}, "01000/00001/01010/10100"), true),
            ".#...\n"
            "....#\n"
            ".#.#.\n"
            "#.#..\n");
}

TEST(PictureTest, BlocksAreTwoRowsALineInAFrame) {
  EXPECT_EQ(Draw(MakeMask({3, 4}, "0101/0011/1000"), false),
            "┌────┐\n"
            "│ ▀▄█│\n"
            "│▀   │\n"
            "└────┘\n");
}

TEST(PictureTest, LeadingAxesAreRows) {
  EXPECT_EQ(Draw(MakeMask({2, 1, 2, 3}, "100 010 001 111"), true), "#..\n.#.\n..#\n###\n");
  EXPECT_EQ(Draw(MakeMask({5}, "10110"), true), "#.##.\n");
  EXPECT_EQ(Draw(MakeMask({}, "1"), true), "#\n");
}

TEST(PictureTest, EmptyMask) {
  EXPECT_EQ(Draw(MakeMask({0, 5}, ""), true), "(no elements)\n");
  EXPECT_EQ(Draw(MakeMask({5, 0}, ""), false), "(no elements)\n");
}

TEST(PictureTest, CropsToTheRoomAndSaysSo) {
  const Mask mask = MakeMask({100, 200}, std::string(20000, '1'));
  const std::string ascii = Draw(mask, true, {30, 10});
  EXPECT_EQ(ascii.substr(0, 31), std::string(30, '#') + "\n");
  EXPECT_NE(ascii.find("(the first 6 of 100 rows and 30 of 200 columns;"), std::string::npos)
      << ascii;
  const std::string blocks = Draw(mask, false, {30, 10});
  EXPECT_NE(blocks.find("(the first 8 of 100 rows and 28 of 200 columns;"), std::string::npos)
      << blocks;
  EXPECT_NE(Draw(mask, false, {1, 1}).find("(the first 2 of 100 rows and 1 of 200 columns;"),
            std::string::npos);
}

TEST(MaskGridTest, CountsKeptElements) {
  const Mask mask = MakeMask({4, 5}, "01000/00001/01010/10100");
  const MaskGrid grid(mask);
  EXPECT_EQ(grid.rows(), 4u);
  EXPECT_EQ(grid.columns(), 5u);
  EXPECT_EQ(grid.KeptCount(), 6u);
  EXPECT_EQ(grid.KeptShare(), 0.3);
  const Mask empty = MakeMask({0}, "");
  EXPECT_EQ(MaskGrid(empty).KeptShare(), 0.0);
}

TEST(MaskGridTest, LeadingSizesMayOverflowWhereTheLastIsZero) {
  const Mask mask = MakeMask({std::int64_t{1} << 62, std::int64_t{1} << 62, 0}, "");
  EXPECT_EQ(MaskGrid(mask).size(), 0u);
}

}  // namespace
}  // namespace dropout::cli
