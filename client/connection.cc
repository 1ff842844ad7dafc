#include "client/connection.h"

#include <chrono>

namespace dropout {
namespace {

// How long gRPC may take to let go of memory after a call has ended. What is not on its
// way through a socket is gone at once.
constexpr auto kReturnLimit = std::chrono::milliseconds(100);

ChannelPool::Make Maker(const std::string& address, const ClientOptions& options) {
  return [address, options](bool extra) { return MakeChannel(address, options, extra); };
}

}  // namespace

Connection::Connection(const std::string& address, const ClientOptions& options)
    : unary_(Maker(address, options)), streams_(Maker(address, options)) {}

void Connection::Settle(MemoryLoan& loan, std::shared_ptr<Channel> channel) {
  if (loan.WaitForReturn(kReturnLimit)) return;
  unary_.GiveUp(*channel);
  streams_.GiveUp(*channel);
  // With its last user the channel ends, its connection with it, and the write that gRPC
  // still had under way.
  channel.reset();
  loan.WaitForReturn();
}

}  // namespace dropout
