#include "server/memory/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/base/error.h"

namespace dropoutd {
namespace {

namespace fs = std::filesystem;

class SharedMemoryTest : public testing::Test {
 protected:
  SharedMemoryTest() {
    std::string name = (fs::temp_directory_path() / "shared-memory-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    options_.directory = folder_;
  }
  ~SharedMemoryTest() override { fs::remove_all(folder_); }

  std::unique_ptr<SharedMemory> Open() { return *SharedMemory::Open(options_); }

  std::size_t FileCount() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  std::string folder_;
  SharedMemoryOptions options_;
};

TEST_F(SharedMemoryTest, ARegionIsAFileThatBothSidesSee) {
  const auto memory = Open();
  const auto region = memory->Create("id", 10'000);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ((*region)->region_id(), "id");
  EXPECT_EQ((*region)->byte_size(), 10'000);
  struct stat status = {};
  ASSERT_EQ(stat((*region)->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(status.st_size, 10'000);

  const int file = open((*region)->path().c_str(), O_RDWR);
  ASSERT_GE(file, 0);
  ASSERT_EQ(pwrite(file, "hello", 5, 9'000), 5);
  EXPECT_EQ(std::memcmp((*region)->data() + 9'000, "hello", 5), 0);
  std::memcpy((*region)->data(), "there", 5);
  char back[5];
  ASSERT_EQ(pread(file, back, 5, 0), 5);
  EXPECT_EQ(std::memcmp(back, "there", 5), 0);
  close(file);
}

TEST_F(SharedMemoryTest, TheModeIsThereWhateverTheUmask) {
  const mode_t before = umask(0777);
  const auto memory = Open();
  const auto region = memory->Create("id", 1);
  umask(before);
  ASSERT_TRUE(region.ok());
  struct stat status = {};
  ASSERT_EQ(stat((*region)->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(SharedMemoryTest, TheFileGoesWithTheLastReference) {
  const auto memory = Open();
  auto region = *memory->Create("id", 4096);
  auto second = region;
  region.reset();
  EXPECT_EQ(FileCount(), 1u);
  EXPECT_EQ(memory->budget().bytes(), 4096);
  second.reset();
  EXPECT_EQ(FileCount(), 0u);
  EXPECT_EQ(memory->budget().bytes(), 0);
}

TEST_F(SharedMemoryTest, TheQuotaIsInBytesAndInRegions) {
  options_.max_bytes = 10'000;
  options_.max_regions = 2;
  const auto memory = Open();
  EXPECT_EQ(ReasonOf(memory->Create("a", 10'001).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(ReasonOf(memory->Create("a", INT64_MAX).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(ReasonOf(memory->Create("a", 0).status()), Reason::kInvalidRequest);
  EXPECT_EQ(ReasonOf(memory->Create("a", -1).status()), Reason::kInvalidRequest);
  auto first = memory->Create("a", 10'000);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ReasonOf(memory->Create("b", 1).status()), Reason::kQuotaSharedMemory);
  first->reset();
  const auto b = memory->Create("b", 1);
  const auto c = memory->Create("c", 1);
  ASSERT_TRUE(b.ok() && c.ok());
  EXPECT_EQ(ReasonOf(memory->Create("d", 1).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(FileCount(), 2u);
}

TEST_F(SharedMemoryTest, MemoryThatTheHostDoesNotHaveIsRefusedAtOnce) {
  // Without this limit the file would be made, and its pages missed later.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto region = Open()->Create("id", 2 << 20);
    _exit(ReasonOf(region.status()) == Reason::kQuotaSharedMemory && FileCount() == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(SharedMemoryTest, ACutFileBreaksItsRegionAndNothingElse) {
  const auto memory = Open();
  const auto cut = *memory->Create("cut", 1 << 20);
  const auto whole = *memory->Create("whole", 1 << 20);
  std::memset(cut->data(), 1, 1 << 20);
  std::memset(whole->data(), 1, 1 << 20);
  ASSERT_EQ(truncate(cut->path().c_str(), 8192), 0);
  EXPECT_FALSE(cut->broken());
  EXPECT_EQ(cut->data()[0], std::byte{1});
  EXPECT_FALSE(cut->broken());

  EXPECT_EQ(cut->data()[500'000], std::byte{0});  // Gone: zeros, and a mark.
  EXPECT_TRUE(cut->broken());
  std::memset(cut->data(), 2, 1 << 20);  // Before and after the place of the fault.
  EXPECT_EQ(cut->data()[(1 << 20) - 1], std::byte{2});
  EXPECT_FALSE(whole->broken());
  EXPECT_EQ(whole->data()[500'000], std::byte{1});
}

TEST_F(SharedMemoryTest, ThreadsMayMeetInAFault) {
  const auto memory = Open();
  for (int round = 0; round < 20; ++round) {
    const auto region = *memory->Create("id", 1 << 20);
    ASSERT_EQ(truncate(region->path().c_str(), 0), 0);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { std::memset(region->data(), 1, 1 << 20); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(region->broken());
  }
}

TEST_F(SharedMemoryTest, AFaultElsewhereStillEndsTheProcess) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer ends it in its own way";
#endif
  const auto memory = Open();
  const auto region = *memory->Create("id", 4096);
  const std::string other = folder_ + "/other";
  EXPECT_EXIT(
      {
        const int file = open(other.c_str(), O_RDWR | O_CREAT, 0600);
        if (ftruncate(file, 4096) != 0) _exit(1);
        auto* const place = static_cast<volatile char*>(
            mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
        if (ftruncate(file, 0) != 0) _exit(1);
        place[0] = 1;
        _exit(0);
      },
      [](int status) { return !(WIFEXITED(status) && WEXITSTATUS(status) <= 1); }, "");
}

TEST_F(SharedMemoryTest, WhatAKilledServerLeftIsRemovedAtTheNextStart) {
  const pid_t child = fork();
  if (child == 0) {
    const auto memory = Open();
    const auto region = memory->Create("left", 4096);
    raise(region.ok() ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  std::ofstream(folder_ + "/someone-elses") << "x";
  fs::create_directory(folder_ + "/dropoutd-folder");
  fs::create_symlink(folder_ + "/someone-elses", folder_ + "/dropoutd-link");
  ASSERT_EQ(FileCount(), 4u);
  const auto memory = Open();
  EXPECT_EQ(FileCount(), 3u);
  EXPECT_FALSE(fs::exists(folder_ + "/dropoutd-left"));
}

TEST_F(SharedMemoryTest, TheRegionsOfAServerThatLivesStay) {
  const auto first = Open();
  const auto region = *first->Create("id", 4096);
  const auto second = Open();
  EXPECT_TRUE(fs::exists(region->path()));
}

TEST_F(SharedMemoryTest, AFolderThatCannotBeUsedIsNamed) {
  options_.directory = folder_ + "/none";
  const auto memory = SharedMemory::Open(options_);
  EXPECT_EQ(memory.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(memory.status().message()).find(options_.directory), std::string::npos);
}

}  // namespace
}  // namespace dropoutd
