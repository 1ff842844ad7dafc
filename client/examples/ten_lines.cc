#include <iostream>
#include <string>
#include <vector>

#include "dropout/client.h"

int main(int, char** argv) {
  dropout::Client client = dropout::Client::Connect(argv[1]).value();
  dropout::Layer layer;
  layer.layer_id = "hidden";
  layer.p = 0.5;
  dropout::SessionOptions options;
  options.seed = 1;
  options.layers = {layer};
  const std::string session = client.CreateSession(options).value().session_id;
  const std::vector<float> x(16, 1.0f);
  const dropout::TensorView view{dropout::DataType::kFloat32, {16}, x.data(), 16 * sizeof(float)};
  const dropout::StepRef step{session, "hidden", 0, 0, {}};
  const dropout::Tensor y = client.Forward(step, view).value().output;
  const dropout::Tensor dx = client.Backward(step, view).value().input_gradient;
  const auto* const values = reinterpret_cast<const float*>(y.data.data());
  for (int i = 0; i < 16; ++i) std::cout << values[i] << " ";
  std::cout << std::boolalpha << (dx.data == y.data) << "\n";
  return client.DeleteSession(session).ok() ? 0 : 1;
}
