// A connection to a Redis server, whatever carries it.
#ifndef DROPOUTD_SERVER_STORE_REDIS_CONNECTION_H_
#define DROPOUTD_SERVER_STORE_REDIS_CONNECTION_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/redis_script.h"
#include "server/store/redis_value.h"

namespace dropoutd {

// The texts of a command, or of some arguments.
using RedisArguments = std::vector<std::string_view>;

// Commands that are appended are sent by the next Receive, and are answered in their order. Not
// thread-safe.
//
// An error that Redis answers is a RedisValue: the command did nothing, or at least nothing more.
// A status that is not OK (STORE_UNAVAILABLE, naming no address and no secret) says that the
// connection was lost, or that an answer took longer than the command time-out: whether the
// command was or will be carried out is not known. The connection is then broken for good.
class RedisConnection {
 public:
  virtual ~RedisConnection() = default;

  // Queues a command.
  virtual void Append(const RedisArguments& command) = 0;

  // Sends what is queued, and takes the answer of the first command that has had none.
  virtual absl::StatusOr<RedisValue> Receive() = 0;

  // Whether an error of the connection itself has been seen.
  virtual bool is_broken() const = 0;

  // Of a connection that nobody waits on: whether the other end has closed it, as far as can be
  // known without a wait. One that has been closed is broken from then on.
  virtual bool HasBeenClosed() = 0;

  // Queues a call of a script by its hash. A server that does not know it answers NOSCRIPT.
  void Append(const RedisScript& script, const RedisArguments& keys,
              const RedisArguments& arguments);

  // Queues a command, and takes its answer. Nothing may be under way.
  absl::StatusOr<RedisValue> Run(const RedisArguments& command);

  // The same for a script; what the server does not know yet it is told.
  absl::StatusOr<RedisValue> Call(const RedisScript& script, const RedisArguments& keys,
                                  const RedisArguments& arguments);
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_CONNECTION_H_
