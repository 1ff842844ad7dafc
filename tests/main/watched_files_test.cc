#include "server/main/reload/watched_files.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace dropoutd {
namespace {

class WatchedFilesTest : public testing::Test {
 protected:
  WatchedFilesTest()
      : folder_(testing::TempDir() + "watched_files_" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(folder_);
  }
  ~WatchedFilesTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }

  WatchedFiles Watch(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(Path(name));
    return {paths, [this](std::vector<std::string> contents) {
              if (contents[0] == "bad") return absl::InvalidArgumentError("bad");
              contents_ = std::move(contents);
              return absl::OkStatus();
            }};
  }

  const std::string folder_;
  std::vector<std::string> contents_;
};

TEST_F(WatchedFilesTest, LoadsInTheOrderOfThePaths) {
  Write("a", "1");
  Write("b", std::string("2\0\n3", 4));
  WatchedFiles files = Watch({"b", "a"});
  EXPECT_TRUE(files.Changed());
  ASSERT_TRUE(files.Load().ok());
  EXPECT_EQ(contents_, (std::vector<std::string>{std::string("2\0\n3", 4), "1"}));
  EXPECT_FALSE(files.Changed());
}

TEST_F(WatchedFilesTest, NoticesANewContentAndANewFile) {
  Write("a", "1");
  WatchedFiles files = Watch({"a"});
  ASSERT_TRUE(files.Load().ok());
  Write("a", "12");
  EXPECT_TRUE(files.Changed());
  ASSERT_TRUE(files.Load().ok());
  EXPECT_FALSE(files.Changed());
  Write("new", "34");  // Of the same size, put in its place as editors do.
  std::filesystem::rename(Path("new"), Path("a"));
  EXPECT_TRUE(files.Changed());
  ASSERT_TRUE(files.Load().ok());
  EXPECT_EQ(contents_, std::vector<std::string>{"34"});
}

TEST_F(WatchedFilesTest, NoticesWhereALinkPoints) {
  std::filesystem::create_directory(Path("v1"));
  std::filesystem::create_directory(Path("v2"));
  Write("v1/a", "1");
  Write("v2/a", "2");
  std::filesystem::create_directory_symlink(Path("v1"), Path("now"));
  WatchedFiles files = Watch({"now/a"});
  ASSERT_TRUE(files.Load().ok());
  std::filesystem::create_directory_symlink(Path("v2"), Path("next"));
  std::filesystem::rename(Path("next"), Path("now"));
  EXPECT_TRUE(files.Changed());
  ASSERT_TRUE(files.Load().ok());
  EXPECT_EQ(contents_, std::vector<std::string>{"2"});
}

TEST_F(WatchedFilesTest, WhatCannotBeUsedIsTriedAgain) {
  Write("a", "1");
  WatchedFiles files = Watch({"a"});
  ASSERT_TRUE(files.Load().ok());
  Write("a", "bad");
  EXPECT_FALSE(files.Load().ok());
  EXPECT_TRUE(files.Changed());
  EXPECT_EQ(contents_, std::vector<std::string>{"1"});
  Write("a", "good");
  EXPECT_TRUE(files.Load().ok());
  EXPECT_FALSE(files.Changed());
}

TEST_F(WatchedFilesTest, AFileThatIsGoneIsAnError) {
  Write("a", "1");
  WatchedFiles files = Watch({"a"});
  ASSERT_TRUE(files.Load().ok());
  std::filesystem::remove(Path("a"));
  EXPECT_TRUE(files.Changed());
  EXPECT_FALSE(files.Load().ok());
  EXPECT_EQ(contents_, std::vector<std::string>{"1"});
}

}  // namespace
}  // namespace dropoutd
