// Servers that send back what they get, as bytes: what gRPC itself costs, in each of the
// ways that it can be served.
#ifndef DROPOUTD_TESTS_BENCH_ECHO_SERVER_H_
#define DROPOUTD_TESTS_BENCH_ECHO_SERVER_H_

#include <grpcpp/support/channel_arguments.h>

#include <string>
#include <utility>
#include <vector>

namespace dropoutd::bench {

inline constexpr char kEchoMethod[] = "/bench.Echo/Echo";

// gRPC's names of channel arguments and their values.
using ChannelSettings = std::vector<std::pair<std::string, int>>;

// Serves kEchoMethod on `address` in the way `model`: "sync", "callback" or "queue" (a
// completion queue and a thread for each processor). Prints `listening on ADDRESS`, and
// serves until standard input ends. Returns the exit status.
int RunEchoServer(const std::string& model, const std::string& address,
                  const ChannelSettings& settings);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_ECHO_SERVER_H_
