// dropoutd: dropout layers over gRPC.
#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <iostream>

#include "server/main/flags.h"
#include "server/main/health/hard_end.h"
#include "server/main/log/log.h"
#include "server/main/server.h"
#include "server/main/version.h"
#include "server/memory/heap.h"

namespace {

using dropoutd::LogLevel;

// After the last call was given up.
constexpr std::chrono::milliseconds kTimeToEnd{1500};

// Signals that the server answers to. Blocked before any thread starts, so that only main sees
// them.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_status = 0;
  const auto flags = dropoutd::ParseFlags(argc, argv, exit_status);
  if (!flags.has_value()) return exit_status;

  dropoutd::KeepFreedMemory();
  const sigset_t signals = BlockSignals();
  const dropoutd::LogSession log(flags->log_level);
  auto server = dropoutd::Server::Start(*flags);
  if (!server.ok()) {
    std::cerr << "dropoutd: " << server.status().message() << "\n";
    return 1;
  }
  for (const std::string& address : (*server)->addresses()) {
    std::cout << "listening on " << address << "\n";
  }
  if (!(*server)->metrics_address().empty()) {
    std::cout << "metrics listening on " << (*server)->metrics_address() << "\n";
  }
  std::cout << std::flush;

  dropoutd::LogEvent(LogLevel::info, "started")
      .With("version", dropoutd::kVersion)
      .With("addresses", (*server)->addresses());

  for (int signal = 0; sigwait(&signals, &signal) == 0;) {
    if (signal != SIGHUP) {
      dropoutd::LogEvent(LogLevel::info, "draining").With("signal", signal);
      break;
    }
    (*server)->Reload();
  }
  const dropoutd::HardEnd hard_end(flags->drain_timeout + kTimeToEnd);
  (*server)->Drain();
  server->reset();
  dropoutd::LogEvent(LogLevel::info, "stopped");
  return 0;
}
