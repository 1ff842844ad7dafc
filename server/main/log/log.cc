#include "server/main/log/log.h"

#include <grpc/support/log.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "server/main/gate/rate_limiter.h"

namespace dropoutd {
namespace {

constexpr char kName[] = "dropoutd";
constexpr std::size_t kQueuedLines = 8192;

// Of gRPC's lines, which strangers can provoke, so that they do not push out our own.
constexpr std::int64_t kGrpcLinesPerSecond = 10;
constexpr std::chrono::milliseconds kLongestFlush{500};

std::atomic<bool> grpc_is_quiet{false};

bool MayGrpcWarn() {
  static RateLimiter& limiter = *new RateLimiter(kGrpcLinesPerSecond);
  return !grpc_is_quiet && limiter.Allow(std::chrono::steady_clock::now());
}

// What gRPC itself has to say, which would otherwise stand between our lines in its own form.
void LogForGrpc(gpr_log_func_args* args) {
  const bool error = args->severity == GPR_LOG_SEVERITY_ERROR && MayGrpcWarn();
  LogEvent(error ? LogLevel::warn : LogLevel::debug, "grpc").With("message", args->message);
}

}  // namespace

bool ParseLogLevel(const std::string& name, LogLevel& level) {
  for (const LogLevel known :
       {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::err, LogLevel::off}) {
    const auto text = spdlog::level::to_string_view(known);
    if (name == std::string_view(text.data(), text.size()) ||
        (known == LogLevel::warn && name == "warn")) {
      level = known;
      return true;
    }
  }
  return false;
}

LogSession::LogSession(LogLevel level) {
  spdlog::init_thread_pool(kQueuedLines, 1);
  auto logger = std::make_shared<spdlog::async_logger>(
      kName, std::make_shared<spdlog::sinks::stderr_sink_mt>(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})", spdlog::pattern_time_type::utc));
  logger->set_level(level);
  spdlog::set_default_logger(std::move(logger));
  gpr_set_log_function(LogForGrpc);
}

LogSession::~LogSession() {
  gpr_set_log_function(nullptr);
  spdlog::shutdown();
}

void FlushLog() {
  const auto deadline = std::chrono::steady_clock::now() + kLongestFlush;
  const auto pool = spdlog::thread_pool();
  while (pool != nullptr && pool->queue_size() != 0 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  // The last line has left the queue, and may be on its way still.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void QuietGrpc() { grpc_is_quiet = true; }

void SetLogLevel(LogLevel level) {
  if (spdlog::logger* const logger = spdlog::default_logger_raw()) logger->set_level(level);
}

bool IsLogged(LogLevel level) {
  const spdlog::logger* const logger = spdlog::default_logger_raw();
  return logger != nullptr && logger->name() == kName && logger->should_log(level);
}

LogEvent::LogEvent(LogLevel level, std::string_view event)
    : level_(level), logged_(IsLogged(level)) {
  if (logged_) fields_["event"] = event;
}

LogEvent::~LogEvent() {
  if (!logged_) return;
  // What clients sent may not be UTF-8, or may move a terminal: ASCII alone is written.
  const std::string text =
      fields_.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  // Without its braces: the pattern puts time and level in front.
  spdlog::default_logger_raw()->log(level_,
                                    spdlog::string_view_t(text.data() + 1, text.size() - 2));
}

}  // namespace dropoutd
