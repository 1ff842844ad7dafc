// Calls a server that does not exist. Exit status 0: the client said so, in time.
#include <Eigen/Core>
#include <chrono>
#include <iostream>
#include <string>

#include "dropout/client.h"
#include "dropout/eigen.h"

static_assert(__cplusplus == 201703L, "the headers are to be read as C++17");

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  dropout::ClientOptions options;
  options.timeout = std::chrono::seconds(5);
  options.max_attempts = 1;
  auto client = dropout::Client::Connect(std::string("unix:") + argv[1], options);
  if (!client.ok()) return 1;

  const Eigen::VectorXf input = Eigen::VectorXf::Ones(3);
  dropout::StepRef step;
  step.session_id = "session";
  step.layer_id = "drop";
  const auto result = client->Forward(step, dropout::ViewOf(input));
  std::cout << result.status() << " reason '" << dropout::ErrorReason(result.status()) << "'\n";
  return absl::IsUnavailable(result.status()) || absl::IsDeadlineExceeded(result.status()) ? 0 : 1;
}
