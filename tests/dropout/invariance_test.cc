// A mask is a function of (seed, layer, step, sample, element) and of nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "server/kernels/simd_target.h"
#include "tests/dropout/naive_forward.h"
#include "tests/kernels/naive.h"

namespace dropoutd {
namespace {

constexpr std::int64_t kOffset = 1000;

struct Rows {
  std::int64_t begin;
  std::int64_t end;
};

// `rows` cut into slices of random sizes.
std::vector<Rows> Cut(std::int64_t rows, std::mt19937_64& random) {
  std::vector<Rows> slices;
  for (std::int64_t at = 0; at < rows;) {
    const auto n = static_cast<std::int64_t>(1 + random() % 9);
    slices.push_back({at, std::min(rows, at + n)});
    at = slices.back().end;
  }
  return slices;
}

Call SliceOf(const Call& whole, const Rows& rows) {
  Call slice = whole;
  slice.shape[0] = rows.end - rows.begin;
  slice.at.sample_offset += rows.begin;
  return slice;
}

// Computes some rows of `whole` from those of x, into those of y.
void ForwardRows(const Call& whole, DataType dtype, const Rows& rows, const Bytes& x, Bytes& y) {
  const Call slice = SliceOf(whole, rows);
  const auto row_bytes = x.size() / static_cast<std::size_t>(whole.shape[0]);
  const std::size_t begin = static_cast<std::size_t>(rows.begin) * row_bytes;
  DrawAndApply(MakePlanOf(slice), dtype, x.data() + begin, y.data() + begin);
}

const std::vector<Call>& Calls() {
  static const std::vector<Call> calls = [] {
    std::vector<Call> list;
    for (const double p : {0.001, 0.3, 0.9}) {
      for (const std::vector<std::int32_t>& axes :
           std::vector<std::vector<std::int32_t>>{{}, {1}, {2}, {1, 2}, {0}, {0, -1}}) {
        list.push_back({MakeConfig(p, axes), Mode::kTrain, {42, 3, kOffset}, {61, 7, 13}});
      }
      list.push_back({MakeConfig(p), Mode::kTrain, {42, 3, kOffset}, {997}});
      list.push_back({MakeConfig(p), Mode::kTrain, {42, 3, kOffset}, {5, 4099}});
    }
    return list;
  }();
  return calls;
}

TEST(Invariance, AnySplitOfTheBatchInAnyOrder) {
  std::mt19937_64 random(1);
  for (const Call& call : Calls()) {
    for (const DataType dtype : naive::kDataTypes) {
      const Bytes x = naive::RandomBytes(ByteSize(call, dtype), 1);
      const Bytes whole = ServerDrawAndApply(call, dtype, x);
      for (int round = 0; round < 5; ++round) {
        std::vector<Rows> slices = Cut(call.shape[0], random);
        std::shuffle(slices.begin(), slices.end(), random);
        Bytes y(x.size(), 0x77);
        for (const Rows& rows : slices) ForwardRows(call, dtype, rows, x, y);
        ASSERT_EQ(y, whole) << call << naive::Name(dtype);
      }
    }
  }
}

TEST(Invariance, BitsOfOneSampleDoNotDependOnTheBatch) {
  for (const Call& call : Calls()) {
    const Bytes whole = ServerBits(call);
    const Shape noise = MakePlanOf(call).layout.noise;
    if (noise[0] == 1) continue;
    const auto row = static_cast<std::size_t>(noise.ElementCount() / noise[0]);
    for (std::int64_t n = 0; n < call.shape[0]; ++n) {
      const Bytes alone = ServerBits(SliceOf(call, {n, n + 1}));
      for (std::size_t j = 0; j < row; ++j) {
        ASSERT_EQ(naive::Bit(alone, j), naive::Bit(whole, static_cast<std::size_t>(n) * row + j))
            << call << " sample " << n << " element " << j;
      }
    }
  }
}

TEST(Invariance, SamplesThatShareADrawHaveOneMaskAtEveryOffset) {
  Call call{MakeConfig(0.3, {0}), Mode::kTrain, {42, 3, 0}, {4, 1000}};
  const Bytes bits = ServerBits(call);
  for (const std::int64_t offset : {std::int64_t{1}, std::int64_t{1} << 40}) {
    call.at.sample_offset = offset;
    EXPECT_EQ(ServerBits(call), bits);
  }
}

TEST(Invariance, AnyNumberOfThreads) {
  for (const Call& call : Calls()) {
    const Bytes x = naive::RandomBytes(ByteSize(call, DataType::kFloat32), 1);
    const Bytes whole = ServerDrawAndApply(call, DataType::kFloat32, x);
    for (std::size_t thread_count = 1; thread_count <= 8; ++thread_count) {
      std::mt19937_64 random(thread_count);
      const std::vector<Rows> slices = Cut(call.shape[0], random);
      Bytes y(x.size(), 0x77);
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < thread_count; ++t) {
        threads.emplace_back([&, t] {
          for (std::size_t i = t; i < slices.size(); i += thread_count) {
            ForwardRows(call, DataType::kFloat32, slices[i], x, y);
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
      ASSERT_EQ(y, whole) << call << " threads " << thread_count;
    }
  }
}

// One plan and its bits, which threads share, as the session's mask cache does.
TEST(Invariance, ThreadsShareAPlanAndItsBits) {
  const Call call{MakeConfig(0.3, {1}), Mode::kTrain, {42, 3, 0}, {40, 30, 10}};
  const Plan plan = MakePlanOf(call);
  const SharedBits bits = ShareBits(DrawBits(plan));
  const Bytes x = naive::RandomBytes(ByteSize(call, DataType::kFloat16), 1);
  std::vector<Bytes> outputs(8, Bytes(x.size()));
  std::vector<std::thread> threads;
  for (Bytes& y : outputs) {
    threads.emplace_back(
        [&plan, &bits, &x, &y] { Apply(plan, bits, DataType::kFloat16, x.data(), y.data()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Bytes& y : outputs) EXPECT_EQ(y, ServerDrawAndApply(call, DataType::kFloat16, x));
}

TEST(Invariance, AnyInstructionSet) {
  for (const Call& call : Calls()) {
    for (const DataType dtype : naive::kDataTypes) {
      const Bytes x = naive::RandomBytes(ByteSize(call, dtype), 1);
      const Bytes y = ServerDrawAndApply(call, dtype, x);
      const Bytes bits = ServerBits(call);
      for (const std::string& target : kernels::SimdTargets()) {
        ASSERT_TRUE(kernels::ForceSimdTarget(target));
        EXPECT_EQ(ServerDrawAndApply(call, dtype, x), y) << target << call << naive::Name(dtype);
        EXPECT_EQ(ServerBits(call), bits) << target << call;
      }
      ASSERT_TRUE(kernels::ForceSimdTarget(""));
    }
  }
}

// Which elements are dropped, told from an output whose input has no zero.
std::vector<bool> Dropped(const Call& call, DataType dtype) {
  const auto size = static_cast<std::size_t>(ElementSize(dtype));
  const Bytes x(ByteSize(call, dtype), 0x3F);
  const Bytes y = ServerDrawAndApply(call, dtype, x);
  std::vector<bool> dropped(y.size() / size);
  for (std::size_t i = 0; i < dropped.size(); ++i) {
    dropped[i] = naive::LoadElement(dtype, y.data(), i) == 0;
  }
  return dropped;
}

TEST(Invariance, AnyElementType) {
  for (const Call& call : Calls()) {
    const std::vector<bool> dropped = Dropped(call, DataType::kFloat32);
    // Small noise may keep all at the smallest p.
    EXPECT_TRUE(call.config.p < 0.3 || std::count(dropped.begin(), dropped.end(), true) != 0);
    for (const DataType dtype : naive::kDataTypes) {
      EXPECT_EQ(Dropped(call, dtype), dropped) << call << naive::Name(dtype);
    }
  }
}

TEST(Invariance, AnyScaling) {
  for (Call call : Calls()) {
    const Bytes bits = ServerBits(call);
    for (const Scaling scaling : {Scaling::kNone, Scaling::kEval}) {
      call.config.scaling = scaling;
      EXPECT_EQ(ServerBits(call), bits);
    }
  }
}

TEST(Invariance, AnyFactorizationOfTheSample) {
  Call call{MakeConfig(0.3), Mode::kTrain, {42, 3, kOffset}, {9, 60}};
  const Bytes bits = ServerBits(call);
  for (const Sizes& shape : {Sizes{9, 4, 15}, Sizes{9, 60, 1}, Sizes{9, 1, 2, 3, 2, 5, 1, 1}}) {
    call.shape = shape;
    EXPECT_EQ(ServerBits(call), bits) << call;
  }
}

TEST(Invariance, RepeatedCallsAgree) {
  for (const Call& call : Calls()) EXPECT_EQ(ServerBits(call), ServerBits(call));
}

}  // namespace
}  // namespace dropoutd
