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
#include "tests/bench/best_copy.h"
#include "tests/bench/paired.h"
#include "tests/bench/python_baseline.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

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

// Bits that are not given are drawn, and collected.
void RunWhole(const Plan& plan, SharedBits bits, Buffers& buffers) {
  const Pass pass(plan, DataType::kFloat32, std::move(bits), Pass::Bits::kKeep);
  pass.Run(0, buffers.byte_size() / 4, buffers.x(), buffers.y());
}

// Keeps the compiler from dropping a copy whose result nobody reads.
void Use(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

// What is asked of a size: ratios to memcpy.
struct Size {
  std::size_t byte_size;
  double forward;
  double backward;
  PairOptions options;
};

void BenchSize(const Size& size, Report& report) {
  Buffers buffers(size.byte_size);
  const Plan plan = TrainPlan(size.byte_size);
  const Timed copy = TimeOf(
      [&] {
        std::memcpy(buffers.y(), buffers.x(), size.byte_size);
        Use(buffers.y());
      },
      size.options.baseline_repeats);
  const auto bytes = static_cast<double>(size.byte_size);
  const std::string name = "float32, " + SizeName(size.byte_size);
  report.Add(RunPairs(
      {"train forward, " + name, "memcpy", bytes, {}, {}, size.forward},
      [&] { RunWhole(plan, nullptr, buffers); }, copy, size.options));
  const auto bits = std::make_shared<const PackedBits>(DrawBits(plan));
  report.Add(RunPairs(
      {"backward from bits, " + name, "memcpy", bytes, {}, {}, size.backward},
      [&] { RunWhole(plan, bits, buffers); }, copy, size.options));
}

void BenchAgainstBestCopy(std::size_t byte_size, const PairOptions& options, Report& report) {
  Buffers buffers(byte_size);
  const Plan plan = TrainPlan(byte_size);
  report.Add(RunPairs(
      {"train forward, float32, " + SizeName(byte_size),
       "the best copy by hand",
       static_cast<double>(byte_size),
       {},
       {},
       0.9},
      [&] { RunWhole(plan, nullptr, buffers); },
      TimeOf([&] { BestCopy(buffers.x(), byte_size, buffers.y()); }, options.baseline_repeats),
      options));
}

void BenchAgainstPython(const std::string& name, const std::string& script, double at_least,
                        std::size_t byte_size, const PairOptions& options, Report& report) {
  Buffers buffers(byte_size);
  const Plan plan = TrainPlan(byte_size);
  PythonBaseline python(script, {std::to_string(byte_size / 4), std::to_string(kP)});
  report.Add(RunPairs(
      {"train forward, float32, " + SizeName(byte_size),
       name,
       static_cast<double>(byte_size),
       {},
       {},
       at_least},
      [&] { RunWhole(plan, nullptr, buffers); }, [&] { return python.Run(); }, options));
}

}  // namespace

Plan TrainPlan(std::size_t byte_size) {
  LayerConfig config;
  config.layer_id = "bench";
  config.p = kP;
  const std::array<std::int64_t, 1> sizes = {static_cast<std::int64_t>(byte_size / 4)};
  return *MakePlan(config, Mode::kTrain, kP, {1, 0, 0}, *Shape::Make(sizes));
}

void BenchKernels(bool smoke, Report& report) {
  const auto options = [&](int pairs, int repeats) {
    return smoke ? PairOptions{1, 1, 1} : PairOptions{pairs, repeats, repeats};
  };
  BenchSize({64 << 10, 0.36, 0.95, options(31, 512)}, report);
  if (!smoke) {
    BenchSize({4 << 20, 0.62, 0.95, options(31, 8)}, report);
    BenchSize({64 << 20, 1.1, 1.1, options(31, 1)}, report);
  }
  const std::size_t large = smoke ? 64 << 10 : 64 << 20;
  BenchAgainstBestCopy(large, options(31, 1), report);
  BenchAgainstPython("the notebook's NumPy", "numpy_dropout.py", 60, large, options(5, 1), report);
  if (HasPythonModule("torch")) {
    BenchAgainstPython("PyTorch", "torch_dropout.py", 100, large, options(5, 1), report);
  }
}

}  // namespace dropoutd::bench
