// The C++ client for outage.py and connections.py: prints "ready" after a first call, then for each
// line of standard input makes as many calls at once as it says, and prints "ok" or why one failed.
//
//   outage_client ADDRESS inline|stream|shm
#include <cstdint>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "dropout/client.h"

namespace {

// The failure of one of `count` calls, each of a step of its own from `first` on.
absl::Status CallAtOnce(dropout::Client& client, const std::string& session,
                        const dropout::TensorView& x, std::uint64_t first, int count) {
  std::vector<absl::Status> statuses(count);
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      statuses[i] = client.Forward({session, "hidden", first + i, 0, {}}, x).status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  absl::Status all;
  for (const absl::Status& status : statuses) all.Update(status);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  dropout::ClientOptions options;
  if (argv[2] == std::string("stream")) options.transport = dropout::Transport::kStream;
  if (argv[2] == std::string("shm")) options.transport = dropout::Transport::kSharedMemory;
  dropout::Client client = dropout::Client::Connect(argv[1], options).value();
  dropout::SessionOptions session;
  session.layers.resize(1);
  session.layers[0].layer_id = "hidden";
  session.layers[0].p = 0.5;
  const std::string id = client.CreateSession(session).value().session_id;
  const std::vector<float> x(16, 1.0F);
  const dropout::TensorView view{dropout::DataType::kFloat32, {16}, x.data(), 16 * sizeof(float)};
  client.Forward({id, "hidden", 0, 0, {}}, view).value();
  std::cout << "ready" << std::endl;
  std::uint64_t step = 1;
  for (std::string line; std::getline(std::cin, line);) {
    const int count = std::stoi(line);
    const absl::Status status = CallAtOnce(client, id, view, step, count);
    step += count;
    std::cout << (status.ok() ? "ok" : "failed: " + status.ToString()) << std::endl;
  }
  return 0;
}
