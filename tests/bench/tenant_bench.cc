#include "tests/bench/tenant_bench.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dropout/client.h"
#include "tests/bench/child.h"
#include "tests/bench/paired.h"
#include "tests/bench/served.h"
#include "tests/bench/tenant_filler.h"

namespace dropoutd::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kBytes = 64 << 10;
constexpr int kPairs = 5;
constexpr auto kRefusedEvery = std::chrono::milliseconds(20);
constexpr FilledLimits kLimits = {20'000, 100'000, 20'000, 64};
constexpr FilledLimits kSmokeLimits = {20, 4'000, 500, 4};

// Adds the hash of a new token of the tenant to the file, and returns the token.
std::string MakeToken(const std::string& tenant, const std::string& path) {
  Child ctl({DROPOUTCTL_BINARY, "token", "create", tenant, "--file=" + path});
  const std::string line = ctl.ReadLine();
  ctl.ReadLine();  // The file has its line by then.
  return line.substr(line.find_last_of(' ') + 1);
}

dropout::Client ClientWith(const std::string& address, const std::string& token) {
  dropout::ClientOptions options;
  options.token = token;
  options.max_attempts = 1;
  auto client = dropout::Client::Connect(address, options);
  Check(client.status());
  return *std::move(client);
}

// A server, and a tenant that trains there.
class QuietTenant {
 public:
  QuietTenant(const std::string& tokens, const std::string& token, const FilledLimits& limits)
      : server_(StartServer(kTcp, FlagsOf(tokens, limits))),
        client_(ClientWith(server_.address(), token)) {
    dropout::Layer layer;
    layer.layer_id = kLayer;
    layer.p = kP;
    dropout::SessionOptions options;
    options.session_id = kSession;
    options.seed = 1;
    options.layers = {layer};
    Check(client_.CreateSession(options).status());
  }

  const std::string& address() const { return server_.address(); }

  // The seconds of each Forward and Backward, so long.
  std::vector<double> Train(std::chrono::milliseconds time) {
    std::vector<double> seconds;
    const dropout::TensorView x{
        dropout::DataType::kFloat32, {static_cast<std::int64_t>(kBytes / 4)}, data_.data(), kBytes};
    dropout::StepRef step;
    step.session_id = kSession;
    step.layer_id = kLayer;
    for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end;) {
      step.step = next_step_++;
      seconds.push_back(TimeOf([&] { Check(client_.Forward(step, x).status()); }, 1)());
      seconds.push_back(TimeOf([&] { Check(client_.Backward(step, x).status()); }, 1)());
    }
    return seconds;
  }

 private:
  static std::vector<std::string> FlagsOf(const std::string& tokens, const FilledLimits& limits) {
    std::vector<std::string> flags = limits.Flags();
    flags.push_back("--auth_tokens=" + tokens);
    return flags;
  }

  const ServerChild server_;
  dropout::Client client_;
  const std::string data_ = std::string(kBytes, 1);
  std::uint64_t next_step_ = 0;
};

// The full tenant asks for more, in a thread, while this lives.
class Asking {
 public:
  explicit Asking(TenantFiller& filler)
      : thread_([this, &filler](const std::stop_token& stop) { Run(stop, filler); }) {}

  // Ends it. Throws what it threw.
  void End() {
    thread_.request_stop();
    thread_.join();
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  void Run(const std::stop_token& stop, TenantFiller& filler) {
    try {
      auto next = SteadyClock::now();
      while (!stop.stop_requested()) {
        filler.AskForMore();
        std::this_thread::sleep_until(next += kRefusedEvery);
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  std::exception_ptr failure_;
  std::jthread thread_;
};

}  // namespace

void BenchTenants(bool smoke, Report& report) {
  const FilledLimits& limits = smoke ? kSmokeLimits : kLimits;
  const TemporaryFolder folder;
  const std::string tokens = folder / "tokens";
  const std::string full = MakeToken("a", tokens);
  const std::string quiet = MakeToken("b", tokens);
  QuietTenant alone(tokens, quiet, limits);
  QuietTenant beside(tokens, quiet, limits);
  TenantFiller filler(ClientWith(beside.address(), full), limits);
  struct Percentile {
    double quantile;
    Row row;
  };
  const auto row_of = [](const std::string& name, double at_least) {
    return Row{"a call of 64 KiB beside a full tenant, " + name,
               "the same without it",
               2.0 * kBytes,
               {},
               {},
               at_least};
  };
  std::vector<Percentile> percentiles = {
      {0.5, row_of("p50", 0)}, {0.95, row_of("p95", 1 / 1.5)}, {0.99, row_of("p99", 1 / 3.0)}};
  const std::chrono::milliseconds time(smoke ? 100 : 3000);
  alone.Train(time);  // Warms up.
  beside.Train(time);
  for (int i = 0; i < (smoke ? 1 : kPairs); ++i) {
    const std::vector<double> base = alone.Train(time);
    Asking asking(filler);
    const std::vector<double> own = beside.Train(time);
    asking.End();
    for (Percentile& each : percentiles) {
      each.row.seconds.push_back(Quantile(own, each.quantile));
      each.row.ratios.push_back(Quantile(base, each.quantile) / each.row.seconds.back());
    }
  }
  for (Percentile& each : percentiles) report.Add(std::move(each.row));
}

}  // namespace dropoutd::bench
