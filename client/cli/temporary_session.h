// A session that goes when its scope ends, or soon after a program that is killed.
#ifndef DROPOUTD_CLIENT_CLI_TEMPORARY_SESSION_H_
#define DROPOUTD_CLIENT_CLI_TEMPORARY_SESSION_H_

#include <chrono>
#include <string>

#include "client/cli/errors.h"
#include "dropout/client.h"

namespace dropout::cli {

// `client` must outlive it. Thread-safe but for construction and destruction.
class TemporarySession {
 public:
  // Throws CallError if the session cannot be made. Its ttl is five minutes, whatever `options`
  // say.
  TemporarySession(Client& client, SessionOptions options) : client_(client) {
    options.ttl = std::chrono::minutes(5);
    id_ = CallResult(client.CreateSession(options)).session_id;
  }
  TemporarySession(const TemporarySession&) = delete;
  TemporarySession& operator=(const TemporarySession&) = delete;
  // A session that cannot be deleted expires by itself.
  ~TemporarySession() { client_.DeleteSession(id_).IgnoreError(); }

  const std::string& id() const { return id_; }

 private:
  Client& client_;
  std::string id_;
};

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_TEMPORARY_SESSION_H_
