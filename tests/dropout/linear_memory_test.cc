// How much memory DropConnect's products take besides their input, output and weights: a program of
// its own, because it counts every allocation of the C library.
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/dropout/linear.h"
#include "server/dropout/plan.h"

extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT: glibc's own names.
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT
void* __libc_realloc(void*, std::size_t);         // NOLINT
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT
void __libc_free(void*);                          // NOLINT
}

namespace {

std::atomic<std::ptrdiff_t> live_bytes{0};
std::atomic<std::ptrdiff_t> peak_bytes{0};

void Count(std::ptrdiff_t bytes) {
  const std::ptrdiff_t now = live_bytes += bytes;
  std::ptrdiff_t peak = peak_bytes;
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

std::ptrdiff_t SizeOf(void* memory) {
  return memory == nullptr ? 0 : static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
}

void* Counted(void* memory) {
  Count(SizeOf(memory));
  return memory;
}

}  // namespace

// In place of the C library's, for this whole program; operator new and Eigen call them.
extern "C" {
void* malloc(std::size_t size) { return Counted(__libc_malloc(size)); }
void* calloc(std::size_t count, std::size_t size) { return Counted(__libc_calloc(count, size)); }
void* memalign(std::size_t alignment, std::size_t size) {
  return Counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
void* realloc(void* memory, std::size_t size) {
  Count(-SizeOf(memory));
  void* const moved = __libc_realloc(memory, size);
  Count(SizeOf(moved != nullptr || size == 0 ? moved : memory));
  return moved;
}
void free(void* memory) {
  Count(-SizeOf(memory));
  __libc_free(memory);
}
}

namespace dropoutd {
namespace {

constexpr std::ptrdiff_t kLimit = std::ptrdiff_t{4} << 20;
constexpr std::int64_t kIn = 1024;
constexpr std::int64_t kOut = 768;

// The most bytes that were live at once during `work`, besides those that were before.
template <typename Work>
std::ptrdiff_t PeakOf(Work work) {
  const std::ptrdiff_t before = live_bytes;
  peak_bytes = before;
  work();
  return peak_bytes - before;
}

Parameter MakeParameter(std::string_view name, DataType dtype, std::vector<std::int64_t> sizes) {
  const Shape shape = *Shape::Make(sizes);
  return {
      std::string(name), dtype, shape,
      std::vector<std::byte>(static_cast<std::size_t>(shape.ElementCount()) * ElementSize(dtype))};
}

TEST(LinearMemoryTest, TheCounterCounts) {
  EXPECT_GE(PeakOf([] { std::vector<char>(5 << 20, 'x'); }), 5 << 20);
  EXPECT_GE(PeakOf([] { free(aligned_alloc(64, 5 << 20)); }), 5 << 20);
  EXPECT_LT(PeakOf([] {}), 1024);
}

TEST(LinearMemoryTest, StaysUnder4MiBWhateverN) {
  for (const auto scope : {DropConnectOptions::Scope::kSample, DropConnectOptions::Scope::kBatch}) {
    for (const DataType dtype : {DataType::kFloat32, DataType::kFloat64, DataType::kBFloat16}) {
      for (const std::int64_t n : {1, 64, 1024}) {
        if (scope == DropConnectOptions::Scope::kSample && n > 64) continue;  // Slow, and no more.
        SCOPED_TRACE(testing::Message() << "n " << n << ", dtype " << static_cast<int>(dtype)
                                        << ", scope " << static_cast<int>(scope));
        DropConnectOptions options;
        options.in_features = kIn;
        options.out_features = kOut;
        options.mask_scope = scope;
        LayerConfig config;
        config.layer_id = "drop";
        config.p = 0.5;
        config.options = options;
        const std::array<std::int64_t, 2> shape = {n, kIn};
        const Plan plan = *MakePlan(config, Mode::kTrain, config.p, {1, 0, 0}, *Shape::Make(shape));
        Parameters parameters;
        parameters.Set(MakeParameter(kWeight, dtype, {kOut, kIn}));
        parameters.Set(MakeParameter(kBias, dtype, {kOut}));
        const LinearParameters found = LinearParameters::Find(plan, parameters).value();
        const std::size_t element = ElementSize(dtype);
        std::vector<std::byte> x(static_cast<std::size_t>(n * kIn) * element);
        std::vector<std::byte> dx(x.size());
        std::vector<std::byte> y(static_cast<std::size_t>(n * kOut) * element);
        EXPECT_LT(PeakOf([&] { LinearForward(plan, found, dtype, x.data(), y.data()); }), kLimit);
        // The gradients of the weight and the bias are results.
        const auto results =
            static_cast<std::ptrdiff_t>(static_cast<std::size_t>((kIn + 1) * kOut) * element);
        EXPECT_LT(PeakOf([&] {
                    LinearBackward(plan, found, dtype, x.data(), dtype, y.data(), dx.data());
                  }) - results,
                  kLimit);
      }
    }
  }
}

}  // namespace
}  // namespace dropoutd
