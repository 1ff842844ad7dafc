#include "client/connection.h"

#include <grpcpp/create_channel.h>

#include <chrono>
#include <utility>

#include "client/security.h"

namespace dropout {
namespace {

// How long gRPC may take to let go of memory after a call has ended. What is not on its
// way through a socket is gone at once.
constexpr auto kReturnLimit = std::chrono::milliseconds(100);

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

Channel::Channel(std::shared_ptr<grpc::Channel> made, const ClientOptions& options)
    : channel(std::move(made)), stub(channel), raw(channel), options_(options) {}

void Channel::AddCredentials(grpc::ClientContext* context) const { AddToken(options_, context); }

Connection::Connection(const std::string& address, const ClientOptions& options)
    : address_(address), options_(options), channel_(MakeChannel()) {}

std::shared_ptr<Channel> Connection::MakeChannel() const {
  grpc::ChannelArguments arguments = ChannelArgumentsOf(options_);
  const auto credentials = MakeCredentials(options_, &arguments);
  return std::make_shared<Channel>(grpc::CreateCustomChannel(address_, credentials, arguments),
                                   options_);
}

std::shared_ptr<Channel> Connection::channel() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return channel_;
}

void Connection::Settle(MemoryLoan& loan, std::shared_ptr<Channel> channel) {
  if (loan.WaitForReturn(kReturnLimit)) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (channel_ == channel) channel_ = MakeChannel();
  }
  // With its last user the channel ends, its connection with it, and the write that gRPC
  // still had under way.
  channel.reset();
  loan.WaitForReturn();
}

}  // namespace dropout
