#include "client/cli/npy_header.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dropout::cli {
namespace {

using Shape = std::vector<std::int64_t>;

TEST(NpyHeaderTest, ReadsEntriesInAnyOrderAndSpacing) {
  for (const std::string text :
       {"{'descr': '<f4', 'fortran_order': True, 'shape': (4, 5), }   \n",
        "{\"shape\":(4,5),\"descr\":\"<f4\",\"fortran_order\":True}",
        " { 'fortran_order' : True , 'shape' : ( 4L , 5L , ) , 'descr' : '<f4' } "}) {
    const auto header = ParseNpyHeader(text);
    ASSERT_TRUE(header.ok()) << text << ": " << header.status();
    EXPECT_EQ(header->descr, "<f4");
    EXPECT_TRUE(header->fortran_order);
    EXPECT_EQ(header->shape, (Shape{4, 5}));
  }
}

TEST(NpyHeaderTest, ReadsTuplesOfNoneAndOne) {
  EXPECT_EQ(ParseNpyHeader("{'descr': 'x', 'fortran_order': False, 'shape': ()}")->shape, Shape{});
  EXPECT_EQ(ParseNpyHeader("{'descr': 'x', 'fortran_order': False, 'shape': (3,)}")->shape,
            Shape{3});
}

TEST(NpyHeaderTest, RefusesOtherText) {
  for (const std::string text : {
           "",
           "{",
           "{}",
           "[]",
           "{'descr': '<f4', 'fortran_order': False}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} more",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (3,,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': [3]}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}",
           "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
           "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
           "{'descr': '<f4, 'fortran_order': False, 'shape': (3,)}",
           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
           "{'descr' '<f4', 'fortran_order': False, 'shape': (3,)}",
       }) {
    EXPECT_EQ(ParseNpyHeader(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(NpyHeaderTest, PreambleIsAMultipleOf64BytesAndReadsBack) {
  for (std::size_t rank = 0; rank <= 8; ++rank) {
    const NpyHeader header{"<f8", false, Shape(rank, 9223372036854775807)};
    const std::string preamble = FormatNpyPreamble(header);
    EXPECT_EQ(preamble.size() % 64, 0u);
    EXPECT_EQ(preamble.back(), '\n');
    const auto again = ParseNpyHeader(preamble.substr(10));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->shape, header.shape);
    EXPECT_EQ(again->descr, header.descr);
  }
}

}  // namespace
}  // namespace dropout::cli
