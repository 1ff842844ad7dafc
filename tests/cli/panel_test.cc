#include "client/cli/panel.h"

#include <gtest/gtest.h>

#include <limits>

namespace dropout::cli {
namespace {

TEST(PanelTest, ValuesAreDrawnInFiveSteps) {
  const Panel panel{"t", 2, 3, {0, 0.5, 1, 1.5, 2, 9}, 2.0};
  EXPECT_EQ(DrawPanels({panel}, 80, true), "  t\n  ..::++\n  **####\n");
  EXPECT_EQ(DrawPanels({panel}, 80, false), "  t\n  ··░░▒▒\n  ▓▓████\n");
}

TEST(PanelTest, NegativeValuesAndNaNAreDrawnAsZero) {
  const Panel panel{"t", 1, 2, {-3, std::numeric_limits<double>::quiet_NaN()}, 1.0};
  EXPECT_EQ(DrawPanels({panel}, 80, true), "  t\n  ....\n");
}

TEST(PanelTest, PanelsStandBesideEachOtherWhereThereIsRoom) {
  const Panel a{"a", 1, 2, {1, 0}, 1.0};
  const Panel b{"title", 2, 1, {0, 1}, 1.0};
  EXPECT_EQ(DrawPanels({a, b}, 80, true),
            "  a      title\n"
            "  ##..   ..\n"
            "         ##\n");
  EXPECT_EQ(DrawPanels({a, b}, 5, true), "  a\n  ##..\n\n  title\n  ..\n  ##\n");
  EXPECT_EQ(DrawPanels({}, 80, true), "");
}

}  // namespace
}  // namespace dropout::cli
