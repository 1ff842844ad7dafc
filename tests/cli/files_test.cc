#include "client/cli/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/cli/support.h"

namespace dropout::cli {
namespace {

namespace fs = std::filesystem;

void WriteFile(const std::string& path, const std::string& text) {
  const FilePtr file(std::fopen(path.c_str(), "wb"));
  ASSERT_NE(file, nullptr);
  std::fputs(text.c_str(), file.get());
}

std::size_t CountFiles(const TemporaryFolder& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path())) ++count;
  return count;
}

TEST(OutputFileTest, AppearsWhenCommitted) {
  const TemporaryFolder folder;
  const std::string path = folder.File("x");
  auto file = OutputFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::fputs("new", file->file());
  EXPECT_FALSE(fs::exists(path));
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(*ReadAll(path), "new");
  EXPECT_EQ(CountFiles(folder), 1u);
}

TEST(OutputFileTest, WithoutCommitTheOldFileStays) {
  const TemporaryFolder folder;
  const std::string path = folder.File("x");
  WriteFile(path, "old");
  {
    auto file = OutputFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    std::fputs("new", file->file());
  }
  EXPECT_EQ(*ReadAll(path), "old");
  EXPECT_EQ(CountFiles(folder), 1u);
}

TEST(OutputFileTest, KeepsPermissionsAndLinks) {
  const TemporaryFolder folder;
  const std::string path = folder.File("x");
  WriteFile(path, "old");
  fs::permissions(path, fs::perms(0640));
  fs::create_symlink("x", folder.File("link"));
  auto file = OutputFile::Open(folder.File("link"));
  ASSERT_TRUE(file.ok()) << file.status();
  std::fputs("new", file->file());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(fs::is_symlink(folder.File("link")));
  EXPECT_EQ(*ReadAll(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0640));
}

TEST(OutputFileTest, NewFilesHaveTheUsualPermissions) {
  const TemporaryFolder folder;
  WriteFile(folder.File("usual"), "");
  auto file = OutputFile::Open(folder.File("x"));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(fs::status(folder.File("x")).permissions(),
            fs::status(folder.File("usual")).permissions());
}

TEST(OutputFileTest, DevicesAreWrittenInPlace) {
  auto file = OutputFile::Open("/dev/full");
  ASSERT_TRUE(file.ok()) << file.status();
  std::fputs("x", file->file());
  EXPECT_FALSE(file->Commit().ok());
}

TEST(OutputFileTest, PathsThatCannotBeWritten) {
  const TemporaryFolder folder;
  EXPECT_FALSE(OutputFile::Open(folder.File("none/x")).ok());
  EXPECT_FALSE(OutputFile::Open(folder.path()).ok());
}

TEST(FilesTest, MissingInput) {
  const TemporaryFolder folder;
  const absl::Status status = ReadAll(folder.File("none")).status();
  EXPECT_NE(status.message().find("No such file"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace dropout::cli
