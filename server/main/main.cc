// dropoutd: dropout layers over gRPC.
#include <pthread.h>
#include <signal.h>

#include <iostream>

#include "server/main/flags.h"
#include "server/main/server.h"

namespace {

// Signals that end the server. Blocked before any thread starts, so that only Wait sees
// them.
sigset_t BlockEndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_status = 0;
  const auto flags = dropoutd::ParseFlags(argc, argv, exit_status);
  if (!flags.has_value()) return exit_status;

  const sigset_t signals = BlockEndingSignals();
  auto server = dropoutd::Server::Start(*flags);
  if (!server.ok()) {
    std::cerr << "dropoutd: " << server.status().message() << "\n";
    return 1;
  }
  for (const std::string& address : (*server)->addresses()) {
    std::cout << "listening on " << address << "\n";
  }
  std::cout << std::flush;

  int signal = 0;
  sigwait(&signals, &signal);
  std::cerr << "dropoutd: signal " << signal << ", draining\n";
  (*server)->Drain();
  return 0;
}
