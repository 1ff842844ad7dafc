#include "client/channel.h"

#include <grpcpp/create_channel.h>

#include <utility>

#include "client/security.h"

namespace dropout {
namespace {

constexpr int kExtraIdleMs = 10000;

}  // namespace

grpc::ChannelArguments ChannelArgumentsOf(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_receive_bytes));
  arguments.SetMaxSendMessageSize(-1);
  // gRPC's own retries can lose the end of a stream that the server resets while it is written
  // (seen with 1.51): then neither a read nor a cancellation ever ends.
  if (options.transport == Transport::kStream || options.transport == Transport::kAuto) {
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  }
  // A server that is back is found within about a second.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Despite its name, the time that gRPC gives one attempt to connect.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  // A connection of its own, which ends with the channel.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

Channel::Channel(std::shared_ptr<grpc::Channel> made, bool extra, const ClientOptions& options)
    : channel(std::move(made)), stub(channel), raw(channel), is_extra(extra), options_(options) {}

void Channel::AddCredentials(grpc::ClientContext* context) const { AddToken(options_, context); }

bool Channel::IsReady() const {
  return channel->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
}

std::shared_ptr<Channel> MakeChannel(const std::string& address, const ClientOptions& options,
                                     bool extra) {
  grpc::ChannelArguments arguments = ChannelArgumentsOf(options);
  if (extra) arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, kExtraIdleMs);
  const auto credentials = MakeCredentials(options, &arguments);
  return std::make_shared<Channel>(grpc::CreateCustomChannel(address, credentials, arguments),
                                   extra, options);
}

}  // namespace dropout
