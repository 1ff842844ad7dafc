// Files that are no arrays, or lie about what they hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/cli/npy.h"
#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

using testing::HasSubstr;

std::string WithHeader(const std::string& header, const std::string& data = "") {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

std::string Float32(const std::string& shape, const std::string& data = "") {
  return WithHeader("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n", data);
}

// The message of the error that these bytes give.
std::string ErrorOf(const std::string& bytes) {
  const FilePtr file = FileWith(bytes);
  const absl::Status status = ReadNpy(file.get()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(NpyHostileTest, BadMagic) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("not a .npy file"));
  EXPECT_THAT(ErrorOf("\x93NUMP"), HasSubstr("not a .npy file"));
  EXPECT_THAT(ErrorOf(std::string("PK\x03\x04", 4) + std::string(100, 'x')),
              HasSubstr("not a .npy file"));
}

TEST(NpyHostileTest, UnknownVersion) {
  EXPECT_THAT(ErrorOf(std::string("\x93NUMPY\x00\x00\x10\x00", 10)), HasSubstr("version 0"));
  EXPECT_THAT(ErrorOf(std::string("\x93NUMPY\x04\x00\x10\x00", 10)), HasSubstr("version 4"));
}

TEST(NpyHostileTest, TruncatedHeader) {
  const std::string whole = Float32("(1,)", "abcd");
  for (std::size_t size = 8; size < whole.size() - 4; ++size) {
    EXPECT_THAT(ErrorOf(whole.substr(0, size)), HasSubstr("ends within its header")) << size;
  }
}

TEST(NpyHostileTest, HugeHeaderLength) {
  EXPECT_THAT(ErrorOf(std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12) + "{}"),
              HasSubstr("claims 4294967295 bytes"));
}

TEST(NpyHostileTest, TruncatedAndTrailingData) {
  EXPECT_THAT(ErrorOf(Float32("(2, 2)", std::string(15, 'x'))),
              HasSubstr("tells of 16 bytes of data, the file has 15"));
  EXPECT_THAT(ErrorOf(Float32("(2, 2)", std::string(17, 'x'))),
              HasSubstr("tells of 16 bytes of data, the file has 17"));
  EXPECT_THAT(ErrorOf(Float32("(0, 2)", "x")), HasSubstr("tells of 0 bytes"));
}

TEST(NpyHostileTest, NegativeOverflowingAndDeepShapes) {
  EXPECT_THAT(ErrorOf(Float32("(-1,)")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(Float32("(99999999999999999999,)")), HasSubstr("'shape'"));
  EXPECT_THAT(ErrorOf(Float32("(4294967296, 4294967296)")), HasSubstr("overflow"));
  EXPECT_THAT(ErrorOf(Float32("(1, 1, 1, 1, 1, 1, 1, 1, 1)", "abcd")), HasSubstr("rank 9"));
}

TEST(NpyHostileTest, OtherTypes) {
  for (const std::string descr : {"<i8", "<c8", "|O", "<U4", "|b1", "<f16", "f4", "", "<"}) {
    EXPECT_THAT(
        ErrorOf(WithHeader("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,), }")),
        HasSubstr("elements are of type '" + descr + "'"));
  }
}

// Sizes beyond this machine: taking memory for them first would throw.
TEST(NpyHostileTest, ClaimedSizeTakesNoMemory) {
  EXPECT_THAT(ErrorOf(Float32("(2147483648,)", "abcd")),
              HasSubstr("tells of 8589934592 bytes of data, the file has 4"));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    const FilePtr writer(fdopen(ends[1], "wb"));
    const std::string bytes = Float32("(4611686018427387903,)", "abcd");
    std::fwrite(bytes.data(), 1, bytes.size(), writer.get());
  }
  const FilePtr reader(fdopen(ends[0], "rb"));
  EXPECT_THAT(std::string(ReadNpy(reader.get()).status().message()), HasSubstr("the file has 4"));
}

TEST(NpyHostileTest, PipesWithTooMuch) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    const FilePtr writer(fdopen(ends[1], "wb"));
    const std::string bytes = Float32("(1,)", "abcde");
    std::fwrite(bytes.data(), 1, bytes.size(), writer.get());
  }
  const FilePtr reader(fdopen(ends[0], "rb"));
  EXPECT_THAT(std::string(ReadNpy(reader.get()).status().message()),
              HasSubstr("the file has more"));
}

}  // namespace
}  // namespace dropout::cli
