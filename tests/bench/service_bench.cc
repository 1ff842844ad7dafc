#include "tests/bench/service_bench.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dropout/client.h"
#include "server/dropout/pass.h"
#include "server/dropout/plan.h"
#include "tests/bench/kernel_bench.h"
#include "tests/bench/paired.h"
#include "tests/bench/python_baseline.h"
#include "tests/bench/raw_client.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

// Forwards to `server` against Forwards to `baseline`.
void BenchForward(const std::string& what, const std::string& baseline_name, double at_least,
                  const std::string& server, const std::string& baseline, std::size_t byte_size,
                  const PairOptions& options, Report& report) {
  RawClient to_server(server, {});
  RawClient to_baseline(baseline, {});
  const grpc::ByteBuffer request = ToBytes(ForwardOf(byte_size));
  report.Add(RunPairs(
      {what + ", " + SizeName(byte_size),
       baseline_name,
       2.0 * static_cast<double>(byte_size),
       {},
       {},
       at_least},
      [&] { to_server.Call(kForward, request); },
      TimeOf([&] { to_baseline.Call(kForward, request); }, options.baseline_repeats), options));
}

// The Python client against the C++ client, in messages, and against the kernel here, in shared
// memory.
void BenchPythonClient(const std::string& server, std::size_t byte_size, int pairs,
                       Report& report) {
  const auto bytes = static_cast<double>(byte_size);
  const auto python = [&](const std::string& transport) {
    return std::make_unique<PythonBaseline>(
        "python_client.py", std::vector<std::string>{DROPOUTD_SOURCE_DIR, server,
                                                     std::to_string(byte_size), transport});
  };
  const auto add = [&](Row row, PythonBaseline& contender, const Timed& baseline) {
    report.Add(RunPairs(
        std::move(row), [&] { return contender.Run(); }, baseline, pairs));
  };
  dropout::Client client = ClientOf(server, dropout::Transport::kInline);
  const std::vector<float> x(byte_size / 4, 1.0f);
  std::vector<float> y(byte_size / 4);
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(x.size())};
  dropout::StepRef step;
  step.session_id = kSession;
  step.layer_id = kLayer;
  step.step = 1;
  const dropout::TensorView view{dropout::DataType::kFloat32, shape, x.data(), byte_size};
  const auto by_client = [&] { Check(client.Forward(step, view).status()); };
  add({"Python client, in a message, " + SizeName(byte_size),
       "the C++ client",
       2 * bytes,
       {},
       {},
       0.8},
      *python("inline"), TimeOf(by_client, 1));
  const Plan plan = TrainPlan(byte_size);
  const auto kernel = [&] {
    Pass(plan, DataType::kFloat32, nullptr, Pass::Bits::kKeep).Run(0, x.size(), x.data(), y.data());
  };
  add({"Python client, in shared memory, " + SizeName(byte_size),
       "the kernel here",
       bytes,
       {},
       {},
       1 / 1.3},
      *python("shm"), TimeOf(kernel, 1));
}

}  // namespace

void BenchServices(bool smoke, Report& report) {
  const ServerChild server = StartServer(kTcp, {"--shared_memory=true"});
  MakeSession(server.address());
  {
    const ServerChild python(
        PythonCommand("numpy_service.py", {DROPOUTD_PROTO_DIR, std::to_string(kP)}));
    for (const std::size_t size : {1u << 20, 4u << 20, 16u << 20}) {
      if (smoke && size > 1u << 20) break;
      const int repeats = smoke ? 1 : static_cast<int>((16u << 20) / size);
      BenchForward("Forward in a message", "a NumPy service", 6, server.address(), python.address(),
                   size, {smoke ? 1 : 7, repeats, repeats}, report);
    }
  }
  BenchPythonClient(server.address(), smoke ? 1 << 20 : 16 << 20, smoke ? 1 : 15, report);
  const ServerChild metered = StartServer(kTcp, {"--metrics_listen=127.0.0.1:0"});
  MakeSession(metered.address());
  for (const std::size_t size : {64u << 10, 1u << 20}) {
    // Many short turns: what the machine does beside them changes more slowly.
    const int repeats = smoke ? 1 : static_cast<int>((8u << 20) / size);
    BenchForward("Forward with metrics", "without", 0.99, metered.address(), server.address(), size,
                 {smoke ? 1 : 501, repeats, repeats}, report);
  }
}

}  // namespace dropoutd::bench
