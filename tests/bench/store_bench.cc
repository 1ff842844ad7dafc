#include "tests/bench/store_bench.h"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dropout/client.h"
#include "tests/bench/child.h"
#include "tests/bench/paired.h"

namespace dropoutd::bench {
namespace {

constexpr std::size_t kElements = std::size_t{1} << 18;  // 1 MiB of float32.
constexpr int kRedisTries = 300;

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "dropout-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

// A server over a store, and a session in it.
class StoredServer {
 public:
  explicit StoredServer(const std::string& store)
      : server_({DROPOUTD_BINARY, "--listen=127.0.0.1:0", "--log_level=off", "--store=" + store}),
        client_(*dropout::Client::Connect(server_.address(), {})) {
    dropout::Layer layer;
    layer.layer_id = "layer";
    layer.p = 0.3;
    dropout::SessionOptions options;
    options.session_id = "bench";
    options.seed = 1;
    options.layers = {layer};
    Check(client_.CreateSession(options).status());
  }

  // A step of training.
  void Step() {
    dropout::StepRef step;
    step.session_id = "bench";
    step.layer_id = "layer";
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
  StoredServer stored(store);  // First: it may not be there yet.
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

bool Exists(const std::string& path) { return std::filesystem::exists(path); }

}  // namespace

void BenchStores(bool smoke, Report& report) {
  const Folder folder;
  const int repeats = smoke ? 1 : 50;
  const PairOptions options{smoke ? 1 : 15, repeats, repeats};
  BenchStore("SQLite", "sqlite:" + (folder / "sessions.db"), 0.9, options, report);
  const std::string redis = "/usr/bin/redis-server";
  if (!Exists(redis)) return;
  // Another program on the port would be met by the row's failure.
  const int port = 20'000 + static_cast<int>(getpid() % 20'000);
  const Child server({redis, "--port", std::to_string(port), "--bind", "127.0.0.1", "--dir",
                      folder / "", "--save", "", "--appendonly", "yes"});
  const std::string url = "redis://127.0.0.1:" + std::to_string(port);
  for (int i = 0;; ++i) {
    try {
      BenchStore("Redis", url, 0.85, options, report);
      return;
    } catch (const std::exception&) {
      // Not there yet.
      if (i == kRedisTries) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

}  // namespace dropoutd::bench
