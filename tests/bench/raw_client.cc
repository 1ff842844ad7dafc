#include "tests/bench/raw_client.h"

#include <stdexcept>

namespace dropoutd::bench {

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const ChannelSettings& settings) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (const auto& [name, value] : settings) arguments.SetInt(name, value);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

RawClient::RawClient(const std::string& address, const ChannelSettings& settings)
    : channel_(MakeChannel(address, settings)), stub_(channel_) {}

grpc::ByteBuffer RawClient::Call(const std::string& method, const grpc::ByteBuffer& request) {
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call = stub_.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool good = false;
  queue.Next(&tag, &good);
  if (!status.ok()) throw std::runtime_error(method + ": " + status.error_message());
  return response;
}

}  // namespace dropoutd::bench
