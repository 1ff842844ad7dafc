#include "tests/bench/kernel_bench.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "server/dropout/layer_config.h"
#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "tests/bench/paired.h"
#include "tests/bench/python_baseline.h"

namespace dropoutd::bench {
namespace {

constexpr double kP = 0.3;

// Input and output of `byte_size` bytes of float32, with their pages touched. Aligned to
// cache lines: some processors copy much more slowly between other places.
class Buffers {
 public:
  explicit Buffers(std::size_t byte_size)
      : byte_size_(byte_size), x_(Allocate(byte_size)), y_(Allocate(byte_size)) {
    std::fill_n(x_.get(), byte_size / 4, 1.0f);
    std::fill_n(y_.get(), byte_size / 4, 0.0f);
  }

  std::size_t byte_size() const { return byte_size_; }
  const float* x() const { return x_.get(); }
  float* y() { return y_.get(); }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<float[], Free>;

  static Memory Allocate(std::size_t byte_size) {
    return Memory(static_cast<float*>(std::aligned_alloc(64, byte_size)));
  }

  std::size_t byte_size_;
  Memory x_;
  Memory y_;
};

Plan TrainPlan(std::size_t byte_size) {
  LayerConfig config;
  config.layer_id = "bench";
  config.p = kP;
  const std::array<std::int64_t, 1> sizes = {static_cast<std::int64_t>(byte_size / 4)};
  return *MakePlan(config, Mode::kTrain, kP, {1, 0, 0}, *Shape::Make(sizes));
}

// Bits that are not given are drawn, and collected.
void RunWhole(const Plan& plan, SharedBits bits, Buffers& buffers) {
  const Pass pass(plan, DataType::kFloat32, std::move(bits), Pass::Bits::kKeep);
  pass.Run(0, buffers.byte_size() / 4, buffers.x(), buffers.y());
}

std::string SizeName(std::size_t byte_size) {
  return byte_size >= (1u << 20) ? std::to_string(byte_size >> 20) + " MiB"
                                 : std::to_string(byte_size >> 10) + " KiB";
}

// Keeps the compiler from dropping a copy whose result nobody reads.
void Use(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

void BenchSize(std::size_t byte_size, double at_least, const PairOptions& options, Report& report) {
  Buffers buffers(byte_size);
  const Plan plan = TrainPlan(byte_size);
  const Timed copy = TimeOf(
      [&] {
        std::memcpy(buffers.y(), buffers.x(), byte_size);
        Use(buffers.y());
      },
      options.baseline_repeats);
  const auto bytes = static_cast<double>(byte_size);
  report.Add(RunPairs(
      {"train forward, float32, " + SizeName(byte_size), "memcpy", bytes, {}, {}, at_least},
      [&] { RunWhole(plan, nullptr, buffers); }, copy, options));
  const auto bits = std::make_shared<const PackedBits>(DrawBits(plan));
  report.Add(RunPairs(
      {"backward from bits, float32, " + SizeName(byte_size), "memcpy", bytes, {}, {}, 0},
      [&] { RunWhole(plan, bits, buffers); }, copy, options));
}

void BenchAgainstNumpy(std::size_t byte_size, const PairOptions& options, Report& report) {
  Buffers buffers(byte_size);
  const Plan plan = TrainPlan(byte_size);
  PythonBaseline numpy("numpy_dropout.py", {std::to_string(byte_size / 4), std::to_string(kP)});
  report.Add(RunPairs(
      {"train forward, float32, " + SizeName(byte_size),
       "the notebook's NumPy",
       static_cast<double>(byte_size),
       {},
       {},
       20},
      [&] { RunWhole(plan, nullptr, buffers); }, [&] { return numpy.Run(); }, options));
}

}  // namespace

void BenchKernels(bool smoke, Report& report) {
  if (smoke) {
    BenchSize(64 << 10, 0, {1, 1, 1}, report);
    BenchAgainstNumpy(64 << 10, {1, 1, 1}, report);
    return;
  }
  BenchSize(64 << 10, 0, {31, 512, 512}, report);
  BenchSize(4 << 20, 0, {31, 8, 8}, report);
  BenchSize(64 << 20, 0.6, {31, 1, 1}, report);
  BenchAgainstNumpy(64 << 20, {5, 1, 1}, report);
}

}  // namespace dropoutd::bench
