// The load that `bench` puts on a server.
#ifndef DROPOUTD_CLIENT_CLI_BENCH_LOAD_H_
#define DROPOUTD_CLIENT_CLI_BENCH_LOAD_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "client/cli/latency_histogram.h"
#include "dropout/client.h"

namespace dropout::cli {

struct LoadOptions {
  double seconds = 5;
  int concurrency = 1;    // Calls at the same time, at most.
  double rate = 0;        // Forwards a second on average; 0: one after the other.
  bool backward = false;  // After each Forward, of its step.
  bool has_sequences = false;
};

// Runs calls on the layer of a session, each of a step of its own. Closed loop: a thread calls
// again when it has been answered. Open loop: calls arrive at random at the given rate (a Poisson
// process), whatever becomes of those before them, and a latency counts from the arrival: a server
// that falls behind shows.
class Load {
 public:
  // All must outlive it. `gradient`: as the layer's output.
  Load(Client& client, const std::string& session_id, const std::string& layer_id,
       const Tensor& input, const Tensor& gradient, const LoadOptions& options);

  // Returns the time that it took; throws CallError if a call failed. `interrupted` ends it early.
  std::chrono::duration<double> Run(const std::atomic<bool>& interrupted);

  // After Run().
  const LatencyHistogram& forward() const { return latencies_.forward; }
  const LatencyHistogram& backward() const { return latencies_.backward; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Latencies {
    LatencyHistogram forward;
    LatencyHistogram backward;
  };

  void Loop(const std::atomic<bool>& interrupted);
  Clock::time_point NextArrival();
  absl::Status Once(Clock::time_point arrival, Latencies& mine);
  void Fail(const absl::Status& status);

  Client& client_;
  const std::string& session_id_;
  const std::string& layer_id_;
  const Tensor& input_;
  const Tensor& gradient_;
  const LoadOptions& options_;
  Clock::time_point deadline_;
  std::atomic<std::uint64_t> next_step_{0};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // Guards all below while the loops run.
  std::mt19937_64 random_{1};
  Clock::time_point next_arrival_;
  Latencies latencies_;
  absl::Status failure_;
};

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_BENCH_LOAD_H_
