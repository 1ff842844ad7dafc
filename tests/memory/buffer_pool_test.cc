#include "server/memory/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace dropoutd {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(BufferPoolTest, ABufferHasTheSizeAskedForAndIsAligned) {
  BufferPool pool(0);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{70'000}, kMiB, 5 * kMiB + 1, 16 * kMiB + 320}) {
    const BufferPool::Buffer buffer = pool.Take(size);
    EXPECT_GE(buffer.size(), size);
    EXPECT_LE(buffer.size(), size + size / 8 + (64 << 10));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
    std::memset(buffer.data(), 1, buffer.size());
  }
}

TEST(BufferPoolTest, WhatComesBackIsHandedOutAgain) {
  BufferPool pool(4 * kMiB);
  std::byte* first = nullptr;
  {
    const BufferPool::Buffer buffer = pool.Take(kMiB);
    first = buffer.data();
    EXPECT_EQ(pool.idle_bytes(), 0u);
  }
  EXPECT_EQ(pool.idle_bytes(), kMiB);
  const BufferPool::Buffer again = pool.Take(kMiB - 100);
  EXPECT_EQ(again.data(), first);
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(BufferPoolTest, WhatWasUsedLongestAgoMakesRoom) {
  BufferPool pool(4 * kMiB);
  std::byte* last = nullptr;
  { const BufferPool::Buffer large = pool.Take(4 * kMiB); }
  EXPECT_EQ(pool.idle_bytes(), 4 * kMiB);
  {
    const BufferPool::Buffer small = pool.Take(kMiB);
    last = small.data();
  }
  EXPECT_EQ(pool.idle_bytes(), kMiB);
  EXPECT_EQ(pool.Take(kMiB).data(), last);
}

TEST(BufferPoolTest, NothingIsKeptPastTheLimit) {
  BufferPool pool(2 * kMiB);
  { const BufferPool::Buffer large = pool.Take(4 * kMiB); }
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(BufferPoolTest, ABufferMayOutliveThePool) {
  BufferPool::Buffer buffer;
  {
    std::optional<BufferPool> pool(kMiB);
    buffer = pool->Take(1000);
    pool.reset();
  }
  std::memset(buffer.data(), 1, buffer.size());
}

TEST(BufferPoolTest, AnAbsurdSizeIsABadAlloc) {
  BufferPool pool(kMiB);
  EXPECT_THROW(pool.Take(SIZE_MAX), std::bad_alloc);
  EXPECT_THROW(pool.Take(SIZE_MAX / 4), std::bad_alloc);
}

TEST(BufferPoolTest, ThreadsNeverShareABuffer) {
  BufferPool pool(8 * kMiB);
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&pool, id] {
      for (int i = 0; i < 500; ++i) {
        const BufferPool::Buffer buffer = pool.Take(70'000);
        std::memset(buffer.data(), id, 70'000);
        std::this_thread::yield();
        for (std::size_t at = 0; at < 70'000; at += 1000) {
          ASSERT_EQ(buffer.data()[at], static_cast<std::byte>(id));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace dropoutd
