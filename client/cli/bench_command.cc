// bench: a closed loop of calls, and how fast they were.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/elements.h"
#include "client/cli/enum_names.h"
#include "client/cli/option_types.h"
#include "client/cli/progress.h"
#include "client/cli/table.h"
#include "client/cli/temporary_session.h"
#include "client/cli/tensor_text.h"

namespace dropout::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr char kLayerId[] = "bench";
constexpr double kP = 0.5;
constexpr int kMaxConcurrency = 1024;
// In case the program is killed before it deletes the session; every call renews it.
constexpr auto kTtl = std::chrono::minutes(5);

struct BenchArguments {
  std::string variant = "dropout";
  std::vector<std::int64_t> shape = {64, 1024};
  std::optional<DataType> dtype;
  double seconds = 5;
  int concurrency = 1;
  bool backward = false;
};

// What ends the loops early; a signal handler may touch nothing else.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// Makes the first Ctrl-C end the measurement, so that the session is still deleted, and the
// second one the program.
class InterruptScope {
 public:
  InterruptScope() {
    previous_ = std::signal(SIGINT, [](int) {
      interrupted = true;
      std::signal(SIGINT, SIG_DFL);
    });
  }
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  ~InterruptScope() { std::signal(SIGINT, previous_); }

 private:
  void (*previous_)(int);
};

// How long the calls of one operation took.
struct Latencies {
  std::vector<double> forward;   // Microseconds.
  std::vector<double> backward;  // Microseconds.
};

// Runs the loops. All threads share the step counter, so that no two calls meet in a step.
class Load {
 public:
  Load(Client& client, const std::string& session_id, const Tensor& tensor,
       const BenchArguments& arguments)
      : client_(client), session_id_(session_id), tensor_(tensor), arguments_(arguments) {}

  // Returns the time that the loops took; throws CallError if a call failed.
  std::chrono::duration<double> Run() {
    const auto start = Clock::now();
    deadline_ = start + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(arguments_.seconds));
    const ProgressLine progress([this](std::chrono::duration<double> elapsed) {
      return absl::StrFormat("%.1f of %.1f s, %d calls, %.0f a second", elapsed.count(),
                             arguments_.seconds, calls_.load(),
                             static_cast<double>(calls_.load()) / elapsed.count());
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < arguments_.concurrency; ++i) threads.emplace_back([this] { Loop(); });
    for (std::thread& thread : threads) thread.join();
    CheckCall(failure_);
    return Clock::now() - start;
  }

  // After Run().
  const Latencies& latencies() const { return latencies_; }

 private:
  void Loop() {
    Latencies mine;
    // At least one call each, however short the time is.
    do {
      const absl::Status status = Once(&mine);
      if (!status.ok()) Fail(status);
    } while (!stop_ && !interrupted && Clock::now() < deadline_);
    const std::lock_guard<std::mutex> lock(mutex_);
    Append(mine.forward, &latencies_.forward);
    Append(mine.backward, &latencies_.backward);
  }

  absl::Status Once(Latencies* mine) {
    const StepRef step{session_id_, kLayerId, next_step_++, 0, std::nullopt};
    const absl::Status status =
        Timed([&] { return client_.Forward(step, tensor_.View()).status(); }, &mine->forward);
    if (!status.ok() || !arguments_.backward) return status;
    return Timed([&] { return client_.Backward(step, tensor_.View()).status(); }, &mine->backward);
  }

  template <typename Call>
  absl::Status Timed(const Call& call, std::vector<double>* times) {
    const auto start = Clock::now();
    absl::Status status = call();
    times->push_back(Microseconds(Clock::now() - start).count());
    ++calls_;
    return status;
  }

  void Fail(const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure_.Update(status);
    stop_ = true;
  }

  static void Append(const std::vector<double>& from, std::vector<double>* to) {
    to->insert(to->end(), from.begin(), from.end());
  }

  Client& client_;
  const std::string& session_id_;
  const Tensor& tensor_;
  const BenchArguments& arguments_;
  Clock::time_point deadline_;
  std::atomic<std::uint64_t> next_step_{0};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // Guards the two below while the loops run.
  Latencies latencies_;
  absl::Status failure_;
};

struct Summary {
  std::string operation;
  std::size_t calls;
  double calls_per_second;
  double megabytes_per_second;  // The tensor counted once a call.
  double p50, p90, p99, max;    // Microseconds.
};

// The smallest time that a share of `rank` of all times does not pass.
double Percentile(const std::vector<double>& sorted, double rank) {
  const auto index = static_cast<std::size_t>(std::ceil(rank * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(index, 1, sorted.size()) - 1];
}

Summary Summarize(const std::string& operation, std::vector<double> times, std::size_t tensor_bytes,
                  std::chrono::duration<double> elapsed) {
  std::sort(times.begin(), times.end());
  const double rate = static_cast<double>(times.size()) / elapsed.count();
  return {operation,
          times.size(),
          rate,
          rate * static_cast<double>(tensor_bytes) / 1e6,
          Percentile(times, 0.5),
          Percentile(times, 0.9),
          Percentile(times, 0.99),
          times.back()};
}

std::string FormatMicroseconds(double microseconds) {
  return microseconds < 10000 ? absl::StrFormat("%.0f us", microseconds)
                              : absl::StrFormat("%.1f ms", microseconds / 1000);
}

void PrintTable(const std::vector<Summary>& summaries) {
  Table table({{"OPERATION"},
               {"CALLS", Align::kRight},
               {"CALLS/S", Align::kRight},
               {"MB/S", Align::kRight},
               {"P50", Align::kRight},
               {"P90", Align::kRight},
               {"P99", Align::kRight},
               {"MAX", Align::kRight}});
  for (const Summary& summary : summaries) {
    table.AddRow({summary.operation, absl::StrCat(summary.calls),
                  absl::StrFormat("%.1f", summary.calls_per_second),
                  absl::StrFormat("%.1f", summary.megabytes_per_second),
                  FormatMicroseconds(summary.p50), FormatMicroseconds(summary.p90),
                  FormatMicroseconds(summary.p99), FormatMicroseconds(summary.max)});
  }
  table.Print(std::cout);
}

Json SummaryJson(const Summary& summary) {
  return {
      {"operation", summary.operation},
      {"calls", summary.calls},
      {"calls_per_second", summary.calls_per_second},
      {"megabytes_per_second", summary.megabytes_per_second},
      {"latency_us",
       {{"p50", summary.p50}, {"p90", summary.p90}, {"p99", summary.p99}, {"max", summary.max}}}};
}

void Report(const Context& context, const BenchArguments& arguments, DataType dtype,
            std::chrono::duration<double> elapsed, const std::vector<Summary>& summaries) {
  if (!context.options.json) {
    std::cout << arguments.variant << ", p " << kP << ", " << NameOf(dtype) << ' '
              << FormatShape(arguments.shape) << ", concurrency " << arguments.concurrency << ", "
              << absl::StrFormat("%.1f s\n\n", elapsed.count());
    PrintTable(summaries);
    return;
  }
  Json operations = Json::array();
  for (const Summary& summary : summaries) operations.push_back(SummaryJson(summary));
  context.PrintJson({{"variant", arguments.variant},
                     {"shape", arguments.shape},
                     {"dtype", NameOf(dtype)},
                     {"concurrency", arguments.concurrency},
                     {"seconds", elapsed.count()},
                     {"operations", std::move(operations)}});
}

SessionOptions BenchSession() {
  Layer layer;
  layer.layer_id = kLayerId;
  layer.p = kP;
  SessionOptions options;
  options.seed = 1;
  options.layers = {layer};
  options.ttl = kTtl;
  return options;
}

void Bench(Context& context, const BenchArguments& arguments) {
  const DataType dtype = arguments.dtype.value_or(DataType::kFloat32);
  const auto count = ElementCount(arguments.shape);
  // What one gRPC message can carry.
  constexpr std::size_t kMaxBytes = std::size_t{1} << 31;
  if (!count.has_value() || *count >= kMaxBytes / ElementSize(dtype)) {
    throw UsageError("--shape: sizes must be 0 or more, and the tensor below 2 GiB");
  }
  const Tensor tensor{dtype, arguments.shape, std::string(*count * ElementSize(dtype), '\0')};

  const InterruptScope interrupt_scope;
  const TemporarySession session(context.client(), BenchSession());
  Load load(context.client(), session.id(), tensor, arguments);
  const auto elapsed = load.Run();

  std::vector<Summary> summaries = {
      Summarize("forward", load.latencies().forward, tensor.data.size(), elapsed)};
  if (arguments.backward) {
    summaries.push_back(
        Summarize("backward", load.latencies().backward, tensor.data.size(), elapsed));
  }
  Report(context, arguments, dtype, elapsed, summaries);
}

}  // namespace

void AddBenchCommand(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command = app.add_subcommand(
      "bench",
      "Measure calls in a closed loop, in a session of its own; MB/s counts the tensor "
      "once a call");
  command->add_option("--variant", arguments->variant, "Kind of dropout (default dropout)")
      ->type_name("dropout")
      ->check(CLI::IsMember({"dropout"}).description(""));
  AddShape(command, "--shape", &arguments->shape, "The tensor's sizes (default 64,1024)");
  AddEnum(command, "--dtype", &arguments->dtype, "The elements' type (default float32)");
  AddNonNegative(command, "--seconds", "SECONDS", &arguments->seconds,
                 "How long to measure, in seconds (default 5)");
  AddInteger(command, "--concurrency", &arguments->concurrency,
             "Calls at the same time, 1 to 1024 (default 1)")
      ->check(CLI::Range(1, kMaxConcurrency).description(""));
  command->add_flag("--backward", arguments->backward,
                    "Follow every forward with the backward of its step");
  RunWhenParsed(command, context, [&context, arguments] { Bench(context, *arguments); });
}

}  // namespace dropout::cli
