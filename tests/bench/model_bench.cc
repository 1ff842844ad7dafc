#include "tests/bench/model_bench.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/echo_server.h"
#include "tests/bench/paired.h"
#include "tests/bench/raw_client.h"
#include "tests/bench/served.h"

namespace dropoutd::bench {
namespace {

// One way of serving against another.
struct Contest {
  std::string what;
  std::string baseline;
  const ServerChild& contender_server;
  const ServerChild& baseline_server;
  ChannelSettings contender_settings;
};

void Compare(const Contest& contest, std::size_t byte_size, bool smoke, Report& report) {
  RawClient contender(contest.contender_server.address(), contest.contender_settings);
  RawClient baseline(contest.baseline_server.address(), {});
  const grpc::Slice slice(std::string(byte_size, 1));
  const grpc::ByteBuffer request(&slice, 1);
  const std::size_t share = (std::size_t{64} << 20) / std::max<std::size_t>(byte_size, 64 << 10);
  const int repeats = smoke ? 1 : static_cast<int>(share);
  const PairOptions options{smoke ? 1 : 9, repeats, repeats};
  report.Add(RunPairs(
      {contest.what + ", " + SizeName(byte_size),
       contest.baseline,
       2.0 * static_cast<double>(byte_size),
       {},
       {},
       0},
      [&] { contender.Call(kEchoMethod, request); },
      TimeOf([&] { baseline.Call(kEchoMethod, request); }, repeats), options));
}

}  // namespace

void BenchModels(bool smoke, Report& report) {
  const TemporaryFolder folder;
  const std::vector<std::size_t> sizes =
      smoke ? std::vector<std::size_t>{64}
            : std::vector<std::size_t>{64, 64 << 10, 1 << 20, 16 << 20};
  for (const bool is_tcp : {true, false}) {
    const auto start = [&](const std::string& model) {
      return StartEcho(model, is_tcp ? kTcp : folder.Socket(model));
    };
    const ServerChild callback = start("callback");
    const ServerChild sync = start("sync");
    const ServerChild queue = start("queue");
    const std::string where = is_tcp ? "TCP" : "Unix socket";
    for (const std::size_t size : sizes) {
      Compare({"echo, sync, " + where, "callback", sync, callback, {}}, size, smoke, report);
      Compare({"echo, queue, " + where, "callback", queue, callback, {}}, size, smoke, report);
    }
  }
  const ServerChild plain = StartEcho("callback", kTcp);
  const std::vector<std::pair<std::string, ChannelSettings>> arguments = {
      {"frames of 4 MiB", {{GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 4 << 20}}},
      {"windows of 64 MiB",
       {{GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 20}, {GRPC_ARG_HTTP2_BDP_PROBE, 0}}},
      {"reads of 1 MiB",
       {{"grpc.experimental.tcp_min_read_chunk_size", 1 << 20},
        {"grpc.experimental.tcp_max_read_chunk_size", 4 << 20}}},
  };
  for (const auto& [name, settings] : arguments) {
    const ServerChild set = StartEcho("callback", kTcp, settings);
    for (const std::size_t size : sizes) {
      if (size < 1 << 20 && !smoke) continue;
      Compare({"echo, " + name, "defaults", set, plain, settings}, size, smoke, report);
    }
  }
}

}  // namespace dropoutd::bench
