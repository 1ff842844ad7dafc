#include "client/cli/bench_load.h"

#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "client/cli/errors.h"
#include "client/cli/progress.h"

namespace dropout::cli {

Load::Load(Client& client, const std::string& session_id, const std::string& layer_id,
           const Tensor& input, const Tensor& gradient, const LoadOptions& options)
    : client_(client),
      session_id_(session_id),
      layer_id_(layer_id),
      input_(input),
      gradient_(gradient),
      options_(options) {}

std::chrono::duration<double> Load::Run(const std::atomic<bool>& interrupted) {
  const auto start = Clock::now();
  next_arrival_ = start;
  deadline_ = start + std::chrono::duration_cast<Clock::duration>(
                          std::chrono::duration<double>(options_.seconds));
  const ProgressLine progress([this](std::chrono::duration<double> elapsed) {
    return absl::StrFormat("%.1f of %.1f s, %d calls, %.0f a second", elapsed.count(),
                           options_.seconds, calls_.load(),
                           static_cast<double>(calls_.load()) / elapsed.count());
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < options_.concurrency; ++i) {
    threads.emplace_back([this, &interrupted] { Loop(interrupted); });
  }
  for (std::thread& thread : threads) thread.join();
  CheckCall(failure_);
  return Clock::now() - start;
}

void Load::Loop(const std::atomic<bool>& interrupted) {
  Latencies mine;
  // At least one call each, however short the time is.
  do {
    const Clock::time_point arrival = NextArrival();
    if (arrival > deadline_ && options_.rate > 0 && mine.forward.count() != 0) break;
    std::this_thread::sleep_until(arrival);
    const absl::Status status = Once(arrival, mine);
    if (!status.ok()) Fail(status);
  } while (!stop_ && !interrupted && Clock::now() < deadline_);
  const std::lock_guard<std::mutex> lock(mutex_);
  latencies_.forward.Add(mine.forward);
  latencies_.backward.Add(mine.backward);
}

Load::Clock::time_point Load::NextArrival() {
  if (options_.rate <= 0) return Clock::now();
  const std::lock_guard<std::mutex> lock(mutex_);
  const Clock::time_point arrival = next_arrival_;
  std::exponential_distribution<double> gap(options_.rate);
  next_arrival_ +=
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap(random_)));
  return arrival;
}

absl::Status Load::Once(Clock::time_point arrival, Latencies& mine) {
  StepRef step;
  step.session_id = session_id_;
  step.layer_id = layer_id_;
  step.step = next_step_++;
  if (options_.has_sequences) step.sequence_id = step.step;
  absl::Status status = client_.Forward(step, input_.View()).status();
  mine.forward.Record(Clock::now() - arrival);
  ++calls_;
  if (!status.ok() || !options_.backward) return status;
  const auto start = Clock::now();
  status = client_.Backward(step, gradient_.View()).status();
  mine.backward.Record(Clock::now() - start);
  ++calls_;
  return status;
}

void Load::Fail(const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  failure_.Update(status);
  stop_ = true;
}

}  // namespace dropout::cli
