#include "server/service/piece_cutter.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace dropoutd {
namespace {

// Feeds `bytes` in runs of random length and puts the pieces together again.
void CheckPieces(std::size_t count, std::size_t element_size, std::size_t longest_run,
                 std::mt19937& random) {
  std::string bytes(count * element_size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  PieceCutter cutter(count, element_size);
  std::string seen;
  std::size_t next = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t run = std::min<std::size_t>(bytes.size() - at, random() % (longest_run + 1));
    const std::size_t before = seen.size();
    const std::size_t ready = cutter.ReadyBytes(run);
    cutter.Feed(std::string_view(bytes).substr(at, run),
                [&](std::size_t begin, std::size_t n, const void* x) {
                  EXPECT_EQ(begin, next);
                  EXPECT_EQ(begin % PieceCutter::kBlock, 0u);
                  EXPECT_TRUE(n % PieceCutter::kBlock == 0 || begin + n == count);
                  seen.append(static_cast<const char*>(x), n * element_size);
                  next += n;
                });
    at += run;
    EXPECT_EQ(seen.size() - before, ready);
    EXPECT_EQ(cutter.bytes_left(), bytes.size() - at);
  }
  EXPECT_EQ(seen, bytes);
}

TEST(PieceCutterTest, ThePiecesAreTheTensorHoweverItArrives) {
  std::mt19937 random(1);
  for (const std::size_t element_size : {2u, 4u, 8u}) {
    for (const std::size_t count : {0u, 1u, 63u, 64u, 65u, 127u, 128u, 1000u, 5000u}) {
      for (const std::size_t longest : {1u, 7u, 300u, 5000u, 100'000u}) {
        CheckPieces(count, element_size, longest, random);
      }
    }
  }
}

TEST(PieceCutterTest, WholeBlocksStayWhereTheyAre) {
  const std::string bytes(64 * 4 * 3, 'x');
  PieceCutter cutter(64 * 3, 4);
  cutter.Feed(bytes, [&](std::size_t begin, std::size_t n, const void* x) {
    EXPECT_EQ(begin, 0u);
    EXPECT_EQ(n, 64u * 3);
    EXPECT_EQ(x, bytes.data());
  });
}

}  // namespace
}  // namespace dropoutd
