// Against NumPy itself: what it writes is read, what is written it reads.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "client/cli/elements.h"
#include "client/cli/npy.h"
#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

// Runs a Python program in `folder` and returns what it printed.
std::string RunPython(const std::string& folder, const std::string& program) {
  const std::string script = folder + "/program.py";
  {
    const FilePtr file(std::fopen(script.c_str(), "w"));
    std::fputs(program.c_str(), file.get());
  }
  const std::string command = "cd '" + folder + "' && " DROPOUTD_PYTHON " program.py 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << output;
  return output;
}

TEST(NpyNumpyTest, ReadsWhatNumpyWrites) {
  const TemporaryFolder folder;
  RunPython(folder.path(), R"(
import numpy as np
for dtype in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8"):
    for order in "CF":
        for version in ((1, 0), (2, 0), (3, 0)):
            array = np.arange(24).reshape(2, 3, 4).astype(dtype)
            array = np.asfortranarray(array) if order == "F" else array
            with open(f"{dtype}{order}{version[0]}.npy", "wb") as file:
                np.lib.format.write_array(file, array, version)
)");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().extension() != ".npy") continue;
    ++files;
    const auto tensor = ReadNpyFile(entry.path());
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->shape, (std::vector<std::int64_t>{2, 3, 4}));
    for (std::size_t i = 0; i < 24; ++i) {
      EXPECT_EQ(ElementAt(*tensor, i), static_cast<double>(i)) << entry.path();
    }
  }
  EXPECT_EQ(files, 36);
}

TEST(NpyNumpyTest, NumpyReadsWhatIsWritten) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const Tensor& tensor) {
    const FilePtr file(std::fopen(folder.File(name).c_str(), "wb"));
    ASSERT_TRUE(WriteNpy(tensor, file.get()).ok());
  };
  write("f4.npy", MakeTensor<float>(DataType::kFloat32, {2, 2}, {1.5f, -2.0f, 0.0f, 3.0f}));
  write("f8.npy", MakeTensor<double>(DataType::kFloat64, {}, {0.25}));
  write("f2.npy", MakeTensor<std::uint16_t>(DataType::kFloat16, {1, 2, 1}, {0x3C00, 0xC000}));
  write("bf.npy", MakeTensor<std::uint16_t>(DataType::kBFloat16, {2}, {0x3F80, 0xC040}));
  write("empty.npy", MakeTensor<float>(DataType::kFloat32, {0, 3}, {}));
  {
    const FilePtr file(std::fopen(folder.File("mask.npy").c_str(), "wb"));
    ASSERT_TRUE(WriteMaskNpy(MakeMask({2, 3}, "011 100"), file.get()).ok());
  }
  EXPECT_EQ(RunPython(folder.path(), R"(
import numpy as np
for name in ("f4", "f8", "f2", "empty", "mask"):
    array = np.load(name + ".npy")
    print(name, array.dtype, array.shape, array.tolist())
bits = np.load("bf.npy").view("<u2")
print("bf", (bits.astype("<u4") << 16).view("<f4").tolist())
)"),
            "f4 float32 (2, 2) [[1.5, -2.0], [0.0, 3.0]]\n"
            "f8 float64 () 0.25\n"
            "f2 float16 (1, 2, 1) [[[1.0], [-2.0]]]\n"
            "empty float32 (0, 3) []\n"
            "mask bool (2, 3) [[False, True, True], [True, False, False]]\n"
            "bf [1.0, -3.0]\n");
}

}  // namespace
}  // namespace dropout::cli
