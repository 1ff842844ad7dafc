// Tensors, masks and files for the tests of dropoutctl's parts.
#ifndef DROPOUTD_TESTS_CLI_SUPPORT_H_
#define DROPOUTD_TESTS_CLI_SUPPORT_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/files.h"
#include "dropout/types.h"

namespace dropout::cli {

template <typename T>
Tensor MakeTensor(DataType dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  return {dtype, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))};
}

// A mask from rows of '1' (kept) and '0'; other characters are skipped.
inline Mask MakeMask(std::vector<std::int64_t> shape, const std::string& pattern) {
  Mask mask;
  mask.shape = std::move(shape);
  mask.scale = 2;
  std::size_t count = 0;
  for (const char c : pattern) {
    if (c != '0' && c != '1') continue;
    if (count % 8 == 0) mask.bits += '\0';
    if (c == '1') mask.bits.back() = static_cast<char>(mask.bits.back() | 1 << (count % 8));
    ++count;
  }
  return mask;
}

// An anonymous file with these bytes, to be read from its start.
inline FilePtr FileWith(const std::string& bytes) {
  FilePtr file(std::tmpfile());
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file.get()), bytes.size());
  std::rewind(file.get());
  return file;
}

// Everything in the file, from its start.
inline std::string BytesOf(std::FILE* file) {
  std::rewind(file);
  std::string bytes;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) bytes += static_cast<char>(c);
  return bytes;
}

// A folder of its own that goes with the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "dropoutctl.XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::string File(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dropout::cli

#endif  // DROPOUTD_TESTS_CLI_SUPPORT_H_
