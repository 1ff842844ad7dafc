#include "client/cli/npy.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "client/cli/elements.h"
#include "client/cli/npy_header.h"
#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

// A version 1.0 file with this header and data.
std::string Version1(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

Tensor Read(const std::string& bytes, NpyOptions options = {}) {
  const FilePtr file = FileWith(bytes);
  const auto tensor = ReadNpy(file.get(), options);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? *tensor : Tensor();
}

std::string Written(const Tensor& tensor) {
  const FilePtr file = FileWith("");
  EXPECT_TRUE(WriteNpy(tensor, file.get()).ok());
  return BytesOf(file.get());
}

struct RoundTrip {
  DataType dtype;
  std::vector<std::int64_t> shape;
};

class NpyRoundTripTest : public testing::TestWithParam<DataType> {};

TEST_P(NpyRoundTripTest, EveryRankAndEmptyAxesComeBack) {
  const std::vector<std::vector<std::int64_t>> shapes = {{},
                                                         {0},
                                                         {7},
                                                         {3, 4},
                                                         {0, 5},
                                                         {2, 3, 4},
                                                         {2, 0, 4},
                                                         {2, 1, 3, 2},
                                                         {1, 2, 1, 2, 3},
                                                         {2, 1, 2, 1, 2, 2},
                                                         {1, 1, 1, 1, 1, 1, 5},
                                                         {2, 1, 2, 1, 2, 1, 2, 2}};
  for (const auto& shape : shapes) {
    Tensor tensor{GetParam(), shape, ""};
    tensor.data.resize(*ElementCount(shape) * ElementSize(GetParam()));
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      tensor.data[i] = static_cast<char>(i * 37 + 11);
    }
    const std::string bytes = Written(tensor);
    EXPECT_EQ((bytes.size() - tensor.data.size()) % 64, 0u) << "rank " << shape.size();
    const Tensor again = Read(bytes);
    EXPECT_EQ(again.dtype, tensor.dtype);
    EXPECT_EQ(again.shape, tensor.shape);
    EXPECT_EQ(again.data, tensor.data) << "rank " << shape.size();
  }
}

INSTANTIATE_TEST_SUITE_P(Types, NpyRoundTripTest,
                         testing::Values(DataType::kFloat32, DataType::kFloat64, DataType::kFloat16,
                                         DataType::kBFloat16));

TEST(NpyTest, WritesTheBytesOfTheFormat) {
  const Tensor tensor = MakeTensor<float>(DataType::kFloat32, {1}, {1.0f});
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  const std::string expected = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header +
                               std::string(118 - header.size() - 1, ' ') + "\n" +
                               std::string("\x00\x00\x80\x3F", 4);
  EXPECT_EQ(Written(tensor), expected);
}

TEST(NpyTest, ReadsVersions2And3) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n";
  for (const char version : {'\x02', '\x03'}) {
    std::string bytes("\x93NUMPY", 6);
    bytes += version;
    bytes += std::string("\x00", 1);
    bytes += static_cast<char>(header.size());
    bytes += std::string("\x00\x00\x00", 3);
    const Tensor tensor = Read(bytes + header + std::string("\x00\x00\x80\x3F", 4));
    EXPECT_TRUE(tensor.shape.empty());
    EXPECT_EQ(ElementAt(tensor, 0), 1.0);
  }
}

TEST(NpyTest, SwapsBigEndianElements) {
  const Tensor f4 = Read(Version1("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }",
                                  std::string("\x3F\x80\x00\x00\x40\x00\x00\x00", 8)));
  EXPECT_EQ(f4.data, MakeTensor<float>(DataType::kFloat32, {2}, {1.0f, 2.0f}).data);
  const Tensor f2 = Read(Version1("{'descr': '>f2', 'fortran_order': False, 'shape': (1,), }",
                                  std::string("\x3C\x00", 2)));
  EXPECT_EQ(ElementAt(f2, 0), 1.0);
  const Tensor f8 = Read(Version1("{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }",
                                  std::string("\x3F\xF0\x00\x00\x00\x00\x00\x00", 8)));
  EXPECT_EQ(ElementAt(f8, 0), 1.0);
}

TEST(NpyTest, BringsFortranOrderIntoRowMajorOrder) {
  // The array [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]], first axis fastest.
  const std::vector<double> columns = {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11};
  const std::string data(reinterpret_cast<const char*>(columns.data()), columns.size() * 8);
  const Tensor tensor =
      Read(Version1("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3, 2), }", data));
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(ElementAt(tensor, i), static_cast<double>(i));
}

TEST(NpyTest, ReadsBfloat16FromVoidAndFromIntegersWhenAsked) {
  const std::string data("\x80\x3F\x40\xC0", 4);
  for (const std::string descr : {"<V2", "|V2"}) {
    const Tensor tensor =
        Read(Version1("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (2,), }", data));
    EXPECT_EQ(tensor.dtype, DataType::kBFloat16);
    EXPECT_EQ(ElementAt(tensor, 0), 1.0);
    EXPECT_EQ(ElementAt(tensor, 1), -3.0);
  }
  for (const std::string descr : {"<u2", "<i2"}) {
    const std::string bytes =
        Version1("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (2,), }", data);
    EXPECT_EQ(Read(bytes, {.integers_are_bfloat16 = true}).dtype, DataType::kBFloat16);
    const FilePtr file = FileWith(bytes);
    EXPECT_EQ(ReadNpy(file.get()).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(NpyTest, ReadsFromAPipe) {
  const Tensor tensor{DataType::kFloat64, {512, 1024}, std::string(512 * 1024 * 8, 'x')};
  const std::string bytes = Written(tensor);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    const FilePtr file(fdopen(ends[1], "wb"));
    EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file.get()), bytes.size());
  });
  const FilePtr file(fdopen(ends[0], "rb"));
  const auto again = ReadNpy(file.get());
  writer.join();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->data, tensor.data);
}

TEST(NpyTest, WritesMasksAsBools) {
  const FilePtr file = FileWith("");
  ASSERT_TRUE(WriteMaskNpy(MakeMask({2, 5}, "01000 00011"), file.get()).ok());
  const std::string bytes = BytesOf(file.get());
  const auto header = ParseNpyHeader(bytes.substr(10, 118));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->descr, "|b1");
  EXPECT_EQ(header->shape, (std::vector<std::int64_t>{2, 5}));
  EXPECT_EQ(bytes.substr(128), std::string("\0\1\0\0\0\0\0\0\1\1", 10));
}

TEST(NpyTest, WritesMultipliersAsTheyAre) {
  Mask mask;
  mask.multipliers = MakeTensor<float>(DataType::kFloat32, {2}, {0.5f, 1.5f});
  const FilePtr file = FileWith("");
  ASSERT_TRUE(WriteMaskNpy(mask, file.get()).ok());
  EXPECT_EQ(BytesOf(file.get()), Written(*mask.multipliers));
}

}  // namespace
}  // namespace dropout::cli
