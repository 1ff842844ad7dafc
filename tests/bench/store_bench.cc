#include "tests/bench/store_bench.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dropout/client.h"
#include "tests/bench/child.h"
#include "tests/bench/paired.h"
#include "tests/bench/redis_child.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

constexpr std::size_t kElements = std::size_t{1} << 18;  // 1 MiB of float32.

// A server over a store, and a session in it.
class StoredServer {
 public:
  explicit StoredServer(const std::string& store)
      : server_(StartServer(kTcp, {"--store=" + store})),
        client_(ClientOf(server_.address(), dropout::Transport::kInline)) {
    MakeSession(server_.address());
  }

  // A step of training.
  void Step() {
    dropout::StepRef step;
    step.session_id = kSession;
    step.layer_id = kLayer;
    step.step = next_step_++;
    const dropout::TensorView x{dropout::DataType::kFloat32,
                                {static_cast<std::int64_t>(kElements)},
                                x_.data(),
                                kElements * sizeof(float)};
    Check(client_.Forward(step, x).status());
    Check(client_.Backward(step, x).status());
  }

 private:
  ServerChild server_;
  dropout::Client client_;
  const std::vector<float> x_ = std::vector<float>(kElements, 1.0f);
  std::uint64_t next_step_ = 0;
};

void BenchStore(const std::string& name, const std::string& store, double at_least,
                const PairOptions& options, Report& report) {
  StoredServer stored(store);
  StoredServer in_memory("memory");
  report.Add(RunPairs(
      {"Forward and Backward of 1 MiB over " + name,
       "the same in memory",
       4.0 * kElements * sizeof(float),
       {},
       {},
       at_least},
      [&] { stored.Step(); }, TimeOf([&] { in_memory.Step(); }, options.baseline_repeats),
      options));
}

}  // namespace

void BenchStores(bool smoke, Report& report) {
  const TemporaryFolder folder;
  const int repeats = smoke ? 1 : 50;
  const PairOptions options{smoke ? 1 : 15, repeats, repeats};
  BenchStore("SQLite", "sqlite:" + (folder / "sessions.db"), 0.9, options, report);
  if (!RedisChild::IsInstalled()) return;
  const RedisChild redis;
  BenchStore("Redis", redis.url(), 0.85, options, report);
}

}  // namespace dropoutd::bench
