// bench: a load of calls, and how fast they were.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/bench_load.h"
#include "client/cli/commands.h"
#include "client/cli/elements.h"
#include "client/cli/enum_names.h"
#include "client/cli/layer_options.h"
#include "client/cli/option_types.h"
#include "client/cli/table.h"
#include "client/cli/temporary_session.h"
#include "client/cli/tensor_text.h"

namespace dropout::cli {
namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

constexpr char kBenchLayer[] = "bench";
constexpr double kP = 0.5;
constexpr int kMaxConcurrency = 1024;

struct BenchArguments {
  LayerOptions layer;
  std::vector<std::int64_t> shape = {64, 1024};
  std::optional<DataType> dtype;
  LoadOptions load;
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

struct Summary {
  std::string operation;
  std::uint64_t calls;
  double calls_per_second;
  double megabytes_per_second;      // The tensor counted once a call.
  double p50, p90, p99, p999, max;  // Microseconds.
};

Summary Summarize(const std::string& operation, const LatencyHistogram& times,
                  std::size_t tensor_bytes, std::chrono::duration<double> elapsed) {
  const double rate = static_cast<double>(times.count()) / elapsed.count();
  const auto at = [&times](double rank) { return Microseconds(times.Percentile(rank)).count(); };
  return {operation,
          times.count(),
          rate,
          rate * static_cast<double>(tensor_bytes) / 1e6,
          at(0.5),
          at(0.9),
          at(0.99),
          at(0.999),
          Microseconds(times.max()).count()};
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
               {"P99.9", Align::kRight},
               {"MAX", Align::kRight}});
  for (const Summary& summary : summaries) {
    table.AddRow({summary.operation, absl::StrCat(summary.calls),
                  absl::StrFormat("%.1f", summary.calls_per_second),
                  absl::StrFormat("%.1f", summary.megabytes_per_second),
                  FormatMicroseconds(summary.p50), FormatMicroseconds(summary.p90),
                  FormatMicroseconds(summary.p99), FormatMicroseconds(summary.p999),
                  FormatMicroseconds(summary.max)});
  }
  table.Print(std::cout);
}

Json SummaryJson(const Summary& summary) {
  return {{"operation", summary.operation},
          {"calls", summary.calls},
          {"calls_per_second", summary.calls_per_second},
          {"megabytes_per_second", summary.megabytes_per_second},
          {"latency_us",
           {{"p50", summary.p50},
            {"p90", summary.p90},
            {"p99", summary.p99},
            {"p99.9", summary.p999},
            {"max", summary.max}}}};
}

// What was measured.
struct Subject {
  Layer layer;
  std::string variant;
  DataType dtype;
};

void Report(const Context& context, const BenchArguments& arguments, const Subject& subject,
            std::chrono::duration<double> elapsed, const std::vector<Summary>& summaries) {
  const LoadOptions& load = arguments.load;
  if (!context.options.json) {
    std::cout << subject.variant << ", p " << subject.layer.p.value_or(kP) << ", "
              << NameOf(subject.dtype) << ' ' << FormatShape(arguments.shape) << ", "
              << context.options.transport << ", ";
    if (load.rate > 0) std::cout << load.rate << " calls a second, ";
    std::cout << "concurrency " << load.concurrency << ", "
              << absl::StrFormat("%.1f s\n\n", elapsed.count());
    PrintTable(summaries);
    return;
  }
  Json operations = Json::array();
  for (const Summary& summary : summaries) operations.push_back(SummaryJson(summary));
  context.PrintJson({{"variant", subject.variant},
                     {"shape", arguments.shape},
                     {"dtype", NameOf(subject.dtype)},
                     {"transport", context.options.transport},
                     {"concurrency", load.concurrency},
                     {"rate", load.rate},
                     {"seconds", elapsed.count()},
                     {"operations", std::move(operations)}});
}

Subject SubjectOf(const BenchArguments& arguments) {
  Subject subject{{},
                  arguments.layer.variant.value_or("dropout"),
                  arguments.dtype.value_or(DataType::kFloat32)};
  subject.layer.layer_id = kBenchLayer;
  subject.layer.p = kP;
  CheckLocal(Apply(arguments.layer, &subject.layer));
  return subject;
}

SessionOptions BenchSession(const Layer& layer) {
  SessionOptions options;
  options.seed = 1;
  options.layers = {layer};
  return options;
}

Tensor Zeros(DataType dtype, const std::vector<std::int64_t>& shape) {
  const auto count = ElementCount(shape);
  // What one gRPC message can carry.
  constexpr std::size_t kMaxBytes = std::size_t{1} << 31;
  if (!count.has_value() || *count >= kMaxBytes / ElementSize(dtype)) {
    throw UsageError("--shape: sizes must be 0 or more, and the tensor below 2 GiB");
  }
  return {dtype, shape, std::string(*count * ElementSize(dtype), '\0')};
}

// Sets what a layer cannot do without; returns the shape of its output.
std::vector<std::int64_t> Prepare(Client& client, const std::string& session_id,
                                  const Subject& subject, std::vector<std::int64_t> shape) {
  const auto* const linear = std::get_if<DropConnect>(&subject.layer.variant);
  if (linear == nullptr || linear->target == ConnectTarget::kWeights || shape.empty()) return shape;
  std::vector<Parameter> parameters = {
      {"weight", Zeros(subject.dtype, {linear->out_features, linear->in_features})}};
  if (linear->bias) parameters.push_back({"bias", Zeros(subject.dtype, {linear->out_features})});
  CheckCall(client.SetParameters(session_id, kBenchLayer, parameters));
  shape.back() = linear->out_features;
  return shape;
}

void Bench(Context& context, const BenchArguments& arguments) {
  const Subject subject = SubjectOf(arguments);
  const Tensor input = Zeros(subject.dtype, arguments.shape);
  const InterruptScope interrupt_scope;
  const TemporarySession session(context.client(), BenchSession(subject.layer));
  const Tensor gradient =
      Zeros(subject.dtype, Prepare(context.client(), session.id(), subject, arguments.shape));
  LoadOptions options = arguments.load;
  options.has_sequences = true;  // Layers that are keyed by step ignore them.
  const std::string layer_id = kBenchLayer;
  Load load(context.client(), session.id(), layer_id, input, gradient, options);
  const auto elapsed = load.Run(interrupted);

  std::vector<Summary> summaries = {
      Summarize("forward", load.forward(), input.data.size(), elapsed)};
  if (options.backward) {
    summaries.push_back(Summarize("backward", load.backward(), gradient.data.size(), elapsed));
  }
  Report(context, arguments, subject, elapsed, summaries);
}

}  // namespace

void AddBenchCommand(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command = app.add_subcommand(
      "bench",
      "Measure calls in a session of its own, one after the other or, with --rate, as they "
      "arrive; MB/s counts the tensor once a call");
  AddShape(command, "--shape", &arguments->shape, "The tensor's sizes (default 64,1024)");
  AddEnum(command, "--dtype", &arguments->dtype, "The elements' type (default float32)");
  LoadOptions* const load = &arguments->load;
  AddNonNegative(command, "--seconds", "SECONDS", &load->seconds,
                 "How long to measure, in seconds (default 5)");
  AddInteger(command, "--concurrency", &load->concurrency,
             "Calls at the same time, 1 to 1024 (default 1)")
      ->check(CLI::Range(1, kMaxConcurrency).description(""));
  AddNonNegative(command, "--rate", "RATE", &load->rate,
                 "Forwards a second that arrive at random, whatever becomes of those before; "
                 "latencies count from the arrival (default 0: each thread calls when it has been "
                 "answered)");
  command->add_flag("--backward", load->backward,
                    "Follow every forward with the backward of its step");
  AddLayerOptions(command, &arguments->layer);
  RunWhenParsed(command, context, [&context, arguments] { Bench(context, *arguments); });
}

}  // namespace dropout::cli
