// The channels to a server, each of which can be given up for a new one.
#ifndef DROPOUTD_CLIENT_CONNECTION_H_
#define DROPOUTD_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "client/channel.h"
#include "client/channel_pool.h"
#include "client/memory_loan.h"
#include "dropout/client.h"

namespace dropout {

// Thread-safe. Must outlive the channels that it lends.
class Connection {
 public:
  Connection(const std::string& address, const ClientOptions& options);

  // The channel for a unary call, until the pointer's last copy is gone.
  std::shared_ptr<Channel> channel() { return unary_.Lease(); }

  // The same for a stream. Streams have channels of their own: a call never waits behind streams
  // that are kept open for later.
  std::shared_ptr<Channel> stream_channel() { return streams_.Lease(); }

  // See ChannelPool. Of those of streams.
  bool IsFull(const Channel& channel) { return streams_.IsFull(channel); }
  bool Has(const Channel& channel) { return streams_.Has(channel); }

  // Waits until gRPC has let go of what was lent to a call on `channel` that has ended. If
  // it does not, because the server has stopped reading in the middle of a message, gives
  // the channel up: later calls get a new one.
  void Settle(MemoryLoan& loan, std::shared_ptr<Channel> channel);

 private:
  ChannelPool unary_;
  ChannelPool streams_;
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_CONNECTION_H_
