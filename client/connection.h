// The channel to a server, which can be given up for a new one.
#ifndef DROPOUTD_CLIENT_CONNECTION_H_
#define DROPOUTD_CLIENT_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <mutex>
#include <string>

#include "client/memory_loan.h"
#include "dropout/client.h"
#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout {

// What the library asks of its channels; docs/performance.md says why.
grpc::ChannelArguments ChannelArgumentsOf(const ClientOptions& options);

// A channel and its stubs. Thread-safe.
struct Channel {
  Channel(std::shared_ptr<grpc::Channel> made, const ClientOptions& options);

  // Adds to a call who makes it.
  void AddCredentials(grpc::ClientContext* context) const;

  std::shared_ptr<grpc::Channel> channel;
  v1::DropoutService::Stub stub;
  grpc::GenericStub raw;  // For messages that the library serialises itself.

 private:
  const ClientOptions options_;
};

// Thread-safe.
class Connection {
 public:
  Connection(const std::string& address, const ClientOptions& options);

  std::shared_ptr<Channel> channel();

  // Waits until gRPC has let go of what was lent to a call on `channel` that has ended. If
  // it does not, because the server has stopped reading in the middle of a message, gives
  // the channel up: later calls get a new one.
  void Settle(MemoryLoan& loan, std::shared_ptr<Channel> channel);

 private:
  std::shared_ptr<Channel> MakeChannel() const;

  const std::string address_;
  const ClientOptions options_;
  std::mutex mutex_;
  std::shared_ptr<Channel> channel_;
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CONNECTION_H_
