#include "client/cli/png_writer.h"

#include <gtest/gtest.h>
#include <png.h>

#include <string>
#include <vector>

#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

struct Image {
  std::size_t width = 0;
  std::size_t height = 0;
  std::vector<png_byte> pixels;

  int At(std::size_t row, std::size_t column) const { return pixels[row * width + column]; }
};

std::string Written(const Mask& mask) {
  const FilePtr file = FileWith("");
  EXPECT_TRUE(WritePng(MaskGrid(mask), file.get()).ok());
  return BytesOf(file.get());
}

// Decodes with libpng; fails the test where the bytes are no image.
Image Decoded(const std::string& bytes) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  Image image;
  EXPECT_NE(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()), 0) << png.message;
  EXPECT_EQ(png.format, png_uint_32{PNG_FORMAT_GRAY});
  image.width = png.width;
  image.height = png.height;
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  EXPECT_NE(png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr), 0)
      << png.message;
  return image;
}

TEST(PngWriterTest, HeaderIsGrayscaleOf8Bits) {
  const std::string bytes = Written(MakeMask({4, 5}, "01000/00001/01010/10100"));
  EXPECT_EQ(bytes.substr(0, 8), "\x89PNG\r\n\x1A\n");
  EXPECT_EQ(bytes.substr(12, 4), "IHDR");
  EXPECT_EQ(bytes.substr(16, 8), std::string("\0\0\x01\x04\0\0\0\xD0", 8));  // 260 x 208
  EXPECT_EQ(bytes.substr(24, 2), std::string("\x08\x00", 2));
}

TEST(PngWriterTest, EveryPixelIsItsElement) {
  const Mask mask = MakeMask({4, 5}, "01000/00001/01010/10100");
  const Image image = Decoded(Written(mask));
  ASSERT_EQ(image.width, 260u);
  ASSERT_EQ(image.height, 208u);
  for (std::size_t row = 0; row < image.height; ++row) {
    for (std::size_t column = 0; column < image.width; ++column) {
      ASSERT_EQ(image.At(row, column), mask.Kept(row / 52 * 5 + column / 52) ? 255 : 0)
          << row << ", " << column;
    }
  }
}

TEST(PngWriterTest, WideMasksHaveOnePixelAnElement) {
  std::string pattern;
  for (int i = 0; i < 3 * 300; ++i) pattern += i % 7 == 0 ? '1' : '0';
  const Mask mask = MakeMask({3, 300}, pattern);
  const Image image = Decoded(Written(mask));
  ASSERT_EQ(image.width, 300u);
  ASSERT_EQ(image.height, 3u);
  for (std::size_t i = 0; i < 900; ++i) ASSERT_EQ(image.pixels[i], i % 7 == 0 ? 255 : 0) << i;
}

TEST(PngWriterTest, MultipliersAreGrayFromTheLeastToTheLargest) {
  Mask mask;
  mask.shape = {1, 5};
  mask.multipliers =
      MakeTensor<float>(DataType::kFloat32, mask.shape, {-0.5f, 0.0f, 1.0f, 1.5f, 2.0f});
  const Image image = Decoded(Written(mask));
  ASSERT_EQ(image.width, 260u);
  const std::vector<int> shades = {0, 51, 153, 204, 255};
  for (std::size_t i = 0; i < shades.size(); ++i) EXPECT_EQ(image.At(0, 52 * i), shades[i]) << i;
}

TEST(PngWriterTest, EqualElementsAreWhiteUnlessZero) {
  for (const float value : {0.0f, 1.0f, 1.25f}) {
    Mask mask;
    mask.shape = {2};
    mask.multipliers = MakeTensor<float>(DataType::kFloat32, mask.shape, {value, value});
    EXPECT_EQ(Decoded(Written(mask)).At(0, 0), value == 0 ? 0 : 255) << value;
  }
  EXPECT_EQ(Decoded(Written(MakeMask({3}, "111"))).At(0, 0), 255);
  EXPECT_EQ(Decoded(Written(MakeMask({3}, "000"))).At(0, 0), 0);
}

TEST(PngWriterTest, CellSize) {
  EXPECT_EQ(*PngCellSize(1, 1), 256u);
  EXPECT_EQ(*PngCellSize(4, 5), 52u);
  EXPECT_EQ(*PngCellSize(10, 256), 1u);
  EXPECT_EQ(*PngCellSize(10, 255), 2u);
  EXPECT_EQ(*PngCellSize(1000, 1), 16u);
  EXPECT_EQ(*PngCellSize(16384, 16384), 1u);
  for (const auto& [rows, columns] : {std::pair(16385, 1), {1, 16385}, {0, 5}, {5, 0}}) {
    EXPECT_EQ(PngCellSize(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns))
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(PngWriterTest, TooLargeMaskIsRefused) {
  const Mask mask = MakeMask({20000, 1}, std::string(20000, '1'));
  const FilePtr file = FileWith("");
  const absl::Status status = WritePng(MaskGrid(mask), file.get());
  EXPECT_EQ(status.message(),
            "the mask has 20000 rows and 1 columns; an image has at most 16384 pixels a side");
  EXPECT_EQ(BytesOf(file.get()), "");
}

TEST(PngWriterTest, FailedWriteIsReported) {
  const FilePtr full(std::fopen("/dev/full", "wb"));
  ASSERT_NE(full, nullptr);
  std::setvbuf(full.get(), nullptr, _IONBF, 0);
  EXPECT_EQ(WritePng(MaskGrid(MakeMask({1}, "1")), full.get()).code(), absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace dropout::cli
