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

// A region's id: 32 digits.
std::string Id(char digit = 'a') { return std::string(32, digit); }

class SharedMemoryTest : public testing::Test {
 protected:
  SharedMemoryTest() {
    std::string name = (fs::temp_directory_path() / "shared-memory-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    options_.directory = folder_;
  }
  ~SharedMemoryTest() override { fs::remove_all(folder_); }

  std::unique_ptr<SharedMemory> Open() { return *SharedMemory::Open(options_); }

  // Where the files of regions are.
  fs::path Own() const { return fs::path(folder_) / ("dropoutd-" + std::to_string(geteuid())); }

  std::size_t FileCount() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(Own()), fs::directory_iterator()));
  }

  // Expects Open to refuse the folder, with these words.
  void ExpectRefusal(const std::string& words) {
    const auto memory = SharedMemory::Open(options_);
    EXPECT_EQ(memory.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(std::string(memory.status().message()).find(words), std::string::npos)
        << memory.status();
  }

  std::string folder_;
  SharedMemoryOptions options_;
};

TEST_F(SharedMemoryTest, ARegionIsAFileThatBothSidesSee) {
  const auto memory = Open();
  const auto region = memory->Create("", Id(), 10'000);
  ASSERT_TRUE(region.ok()) << region.status();
  EXPECT_EQ((*region)->region_id(), Id());
  EXPECT_EQ((*region)->path(), Own() / Id());
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
  const auto region = memory->Create("", Id(), 1);
  umask(before);
  ASSERT_TRUE(region.ok());
  struct stat status = {};
  ASSERT_EQ(stat((*region)->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(SharedMemoryTest, TheFileGoesWithTheLastReference) {
  const auto memory = Open();
  auto region = *memory->Create("", Id(), 4096);
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
  EXPECT_EQ(ReasonOf(memory->Create("", Id('a'), 10'001).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(ReasonOf(memory->Create("", Id('a'), INT64_MAX).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(ReasonOf(memory->Create("", Id('a'), 0).status()), Reason::kInvalidRequest);
  EXPECT_EQ(ReasonOf(memory->Create("", Id('a'), -1).status()), Reason::kInvalidRequest);
  auto first = memory->Create("", Id('a'), 10'000);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ReasonOf(memory->Create("", Id('b'), 1).status()), Reason::kQuotaSharedMemory);
  first->reset();
  const auto b = memory->Create("", Id('b'), 1);
  const auto c = memory->Create("", Id('c'), 1);
  ASSERT_TRUE(b.ok() && c.ok());
  EXPECT_EQ(ReasonOf(memory->Create("", Id('d'), 1).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(FileCount(), 2u);
}

TEST_F(SharedMemoryTest, AFullTenantLeavesTheOthersTheirHalf) {
  options_.max_bytes = 10'000;
  options_.tenant_max_bytes = 5'000;
  options_.max_regions = 4;
  options_.tenant_max_regions = 2;
  const auto memory = Open();
  auto large = memory->Create("a", Id('a'), 5'000);
  ASSERT_TRUE(large.ok());
  const absl::Status refused = memory->Create("a", Id('b'), 1).status();
  EXPECT_EQ(ReasonOf(refused), Reason::kQuotaSharedMemory);
  EXPECT_NE(std::string(refused.message()).find("--tenant_max_shared_memory_bytes allows 5000"),
            std::string::npos)
      << refused;
  EXPECT_TRUE(memory->Create("b", Id('b'), 5'000).ok());

  // In regions too; what was refused holds none.
  large->reset();
  const auto first = memory->Create("a", Id('c'), 1);
  const auto second = memory->Create("a", Id('d'), 1);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(ReasonOf(memory->Create("a", Id('e'), 1).status()), Reason::kQuotaSharedMemory);
  EXPECT_EQ(memory->budget().bytes(), 2);
  const auto third = memory->Create("b", Id('e'), 1);
  const auto fourth = memory->Create("b", Id('f'), 1);
  EXPECT_TRUE(third.ok() && fourth.ok());
}

TEST_F(SharedMemoryTest, MemoryThatTheHostDoesNotHaveIsRefusedAtOnce) {
  // Without this limit the file would be made, and its pages missed later.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto region = Open()->Create("", Id(), 2 << 20);
    _exit(ReasonOf(region.status()) == Reason::kQuotaSharedMemory && FileCount() == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(SharedMemoryTest, ACutFileBreaksItsRegionAndNothingElse) {
  const auto memory = Open();
  const auto cut = *memory->Create("", Id('c'), 1 << 20);
  const auto whole = *memory->Create("", Id('d'), 1 << 20);
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
    const auto region = *memory->Create("", Id(), 1 << 20);
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
  const auto region = *memory->Create("", Id(), 4096);
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
    const auto region = memory->Create("", Id(), 4096);
    raise(region.ok() ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  ASSERT_TRUE(fs::exists(Own() / Id()));
  const auto memory = Open();
  EXPECT_EQ(FileCount(), 0u);
}

TEST_F(SharedMemoryTest, NothingElseIsEverRemoved) {
  Open();
  std::vector<fs::path> kept;
  for (const std::string& name : {"dropoutd-" + Id(), Id(), std::string("dropoutd-backup.db")}) {
    kept.push_back(fs::path(folder_) / name);
  }
  // Inside our folder: what has not exactly the form of a region's name, or is no file.
  for (const std::string& name : {Id().substr(1), Id() + "a", Id('A'), Id('g'), Id() + ".db",
                                  "dropoutd-" + Id(), "." + Id().substr(1)}) {
    kept.push_back(Own() / name);
  }
  for (const fs::path& path : kept) std::ofstream(path) << "x";
  fs::create_directory(Own() / Id('1'));
  fs::create_symlink(kept.front(), Own() / Id('2'));
  ASSERT_EQ(mkfifo((Own() / Id('3')).c_str(), 0600), 0);
  for (const char digit : {'1', '2', '3'}) kept.push_back(Own() / Id(digit));
  std::ofstream(Own() / Id('4')) << "x";
  { const auto memory = Open(); }
  for (const fs::path& path : kept) EXPECT_TRUE(fs::exists(fs::symlink_status(path))) << path;
  EXPECT_FALSE(fs::exists(Own() / Id('4')));
}

TEST_F(SharedMemoryTest, ANameOfAnotherFormIsRefused) {
  const auto memory = Open();
  for (const std::string& name : {std::string(), std::string("id"), Id() + "a", "../" + Id()}) {
    EXPECT_EQ(memory->Create("", name, 1).status().code(), absl::StatusCode::kInternal) << name;
  }
  EXPECT_EQ(memory->budget().bytes(), 0);
}

TEST_F(SharedMemoryTest, TheFolderIsOursAlone) {
  const mode_t before = umask(0777);
  Open();
  umask(before);
  struct stat status = {};
  ASSERT_EQ(stat(Own().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_EQ(status.st_uid, geteuid());

  ASSERT_EQ(chmod(Own().c_str(), 0750), 0);
  ExpectRefusal("has the mode 0750, must have 0700");
  fs::remove_all(Own());
  std::ofstream(Own()) << "x";
  ExpectRefusal("is not a folder");
  EXPECT_TRUE(fs::exists(Own()));
  fs::remove_all(Own());
  const fs::path other = fs::path(folder_) / "other";
  fs::create_directory(other);
  fs::permissions(other, fs::perms::owner_all);
  fs::create_symlink(other, Own());
  ExpectRefusal("is not a folder");
  fs::remove(Own());
  if (geteuid() != 0) return;  // Only root can give a folder away.
  fs::create_directory(Own());
  ASSERT_EQ(chown(Own().c_str(), 12345, 12345), 0);
  ExpectRefusal("belongs to the user 12345");
}

TEST_F(SharedMemoryTest, AFolderThatWasRemovedIsMadeAnew) {
  const auto memory = Open();
  auto first = *memory->Create("", Id('1'), 4096);
  fs::remove_all(Own());
  const auto second = memory->Create("", Id('2'), 4096);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(fs::exists((*second)->path()));
  first.reset();
  EXPECT_TRUE(fs::exists((*second)->path()));
}

TEST_F(SharedMemoryTest, TheRegionsOfAServerThatLivesStay) {
  const auto first = Open();
  const auto region = *first->Create("", Id(), 4096);
  const auto second = Open();
  EXPECT_TRUE(fs::exists(region->path()));
}

TEST_F(SharedMemoryTest, AFolderThatCannotBeUsedIsNamed) {
  options_.directory = folder_ + "/none";
  ExpectRefusal(options_.directory + ": there is no such folder");
}

}  // namespace
}  // namespace dropoutd
