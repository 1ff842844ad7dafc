// The C++ client for outage.py: prints "ready" after a first call, then for each line of standard
// input makes a call and prints "ok" or why it failed.
//
//   outage_client ADDRESS inline|stream|shm
#include <iostream>
#include <string>
#include <vector>

#include "dropout/client.h"

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
  dropout::StepRef step{id, "hidden", 0, 0, {}};
  client.Forward(step, view).value();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    ++*step.step;
    const absl::Status status = client.Forward(step, view).status();
    std::cout << (status.ok() ? "ok" : "failed: " + status.ToString()) << std::endl;
  }
  return 0;
}
