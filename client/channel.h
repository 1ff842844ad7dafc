// One channel to a server, with the stubs that call through it.
#ifndef DROPOUTD_CLIENT_CHANNEL_H_
#define DROPOUTD_CLIENT_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/channel_arguments.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "dropout/client.h"
#include "dropout/v1/dropout_service.grpc.pb.h"

namespace dropout {

// What the library asks of its channels; docs/performance.md says why.
grpc::ChannelArguments ChannelArgumentsOf(const ClientOptions& options);

// Thread-safe.
struct Channel {
  using Clock = std::chrono::steady_clock;

  Channel(std::shared_ptr<grpc::Channel> made, bool extra, const ClientOptions& options);

  // Adds to a call who makes it.
  void AddCredentials(grpc::ClientContext* context) const;

  // Whether it is connected.
  bool IsReady() const;

  // A stream has started on it; whether one has, within the last `time`.
  void NoteStart() { started_last_ = Clock::now(); }
  bool HasStarted(Clock::duration time) const { return Clock::now() - started_last_.load() < time; }

  const std::shared_ptr<grpc::Channel> channel;
  v1::DropoutService::Stub stub;
  grpc::GenericStub raw;  // For messages that the library serialises itself.
  const bool is_extra;    // Opened beside others that were full.

 private:
  const ClientOptions options_;
  std::atomic<Clock::time_point> started_last_{Clock::time_point()};
};

// A channel with a connection of its own, which opens with its first call. That of an `extra` one
// is closed when it has had no call for a few seconds.
std::shared_ptr<Channel> MakeChannel(const std::string& address, const ClientOptions& options,
                                     bool extra);

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CHANNEL_H_
