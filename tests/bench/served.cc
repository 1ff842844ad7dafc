#include "tests/bench/served.h"

#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <utility>

namespace dropoutd::bench {

namespace v1 = dropout::v1;

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "dropout-bench-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

ServerChild StartServer(const std::string& address, std::vector<std::string> flags) {
  std::vector<std::string> argv = {DROPOUTD_BINARY, "--listen=" + address, "--log_level=off"};
  for (std::string& flag : flags) argv.push_back(std::move(flag));
  return ServerChild(std::move(argv));
}

ServerChild StartEcho(const std::string& model, const std::string& address,
                      const ChannelSettings& settings) {
  std::vector<std::string> argv = {"/proc/self/exe", "--echo=" + model, "--listen=" + address};
  for (const auto& [name, value] : settings) {
    argv.push_back("--channel=" + name + "=" + std::to_string(value));
  }
  return ServerChild(std::move(argv));
}

dropout::Client ClientOf(const std::string& address, dropout::Transport transport) {
  dropout::ClientOptions options;
  options.transport = transport;
  auto client = dropout::Client::Connect(address, options);
  Check(client.status());
  return *std::move(client);
}

void MakeSession(const std::string& address, const std::string& session_id) {
  dropout::Client client = ClientOf(address, dropout::Transport::kInline);
  dropout::Layer layer;
  layer.layer_id = kLayer;
  layer.p = kP;
  dropout::SessionOptions options;
  options.session_id = session_id;
  options.seed = 1;
  options.layers = {layer};
  Check(client.CreateSession(options).status());
}

grpc::ByteBuffer ToBytes(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

v1::ForwardRequest ForwardOf(std::size_t byte_size) {
  v1::ForwardRequest request;
  request.set_session_id(kSession);
  request.set_layer_id(kLayer);
  request.set_step(1);
  v1::Tensor& input = *request.mutable_input();
  input.set_dtype(v1::DATA_TYPE_FLOAT32);
  input.add_shape(static_cast<std::int64_t>(byte_size / 4));
  input.set_data(std::string(byte_size, 1));
  return request;
}

std::string SizeName(std::size_t byte_size) {
  if (byte_size >= (1u << 20)) return std::to_string(byte_size >> 20) + " MiB";
  if (byte_size >= (1u << 10)) return std::to_string(byte_size >> 10) + " KiB";
  return std::to_string(byte_size) + " B";
}

}  // namespace dropoutd::bench
