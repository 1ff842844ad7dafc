#include "tests/bench/service_bench.h"

#include <cstddef>
#include <string>
#include <vector>

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

}  // namespace

void BenchServices(bool smoke, Report& report) {
  const ServerChild server = StartServer(kTcp);
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
  const ServerChild metered = StartServer(kTcp, {"--metrics_listen=127.0.0.1:0"});
  MakeSession(metered.address());
  for (const std::size_t size : {64u << 10, 1u << 20}) {
    const int repeats = smoke ? 1 : static_cast<int>((128u << 20) / size);
    BenchForward("Forward with metrics", "without", 0.99, metered.address(), server.address(), size,
                 {smoke ? 1 : 31, repeats, repeats}, report);
  }
}

}  // namespace dropoutd::bench
