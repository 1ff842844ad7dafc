// The C++ client of the dropout service.
//
//   auto client = dropout::Client::Connect("127.0.0.1:50051");
//   if (!client.ok()) return client.status();
//   dropout::SessionOptions options;
//   options.seed = 1;
//   options.layers.resize(1);
//   options.layers[0].layer_id = "drop";
//   options.layers[0].p = 0.5;
//   auto session = client->CreateSession(options);
//   auto result = client->Forward({session->session_id, "drop", 0}, input);
//
// Errors: every call returns the status that the server sent, and ErrorReason() its
// reason (docs/api.md lists them). A request past protobuf's limit of 2 GiB - 1 bytes
// is RESOURCE_EXHAUSTED and is not sent. Every call but Backward with `release` is safe
// to repeat, and is repeated after UNAVAILABLE with growing pauses until its attempts
// or its time are used up. A Delete that is repeated and finds nothing has succeeded.
//
// Thread safety: a Client may be used from any number of threads at once. It can be
// moved and not copied; no call may run while it is moved or destroyed.
#ifndef DROPOUT_CLIENT_H_
#define DROPOUT_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dropout/types.h"

namespace dropout {

struct ClientOptions {
  // Time that one call may take, retries and pauses included. 0: no limit.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);

  // How often a call that is safe to repeat is sent at most; 1 switches retries off.
  int max_attempts = 8;

  // Pause before the second attempt; it doubles up to max_backoff. Each pause is
  // shortened by a random share of up to a half. 0 or more.
  std::chrono::nanoseconds initial_backoff = std::chrono::milliseconds(50);
  std::chrono::nanoseconds max_backoff = std::chrono::seconds(2);

  // The largest message that is accepted, at most 2^31 - 1; -1: any. gRPC's own default, 4 MiB, is
  // smaller than what a server with default flags sends.
  std::int64_t max_receive_bytes = -1;
};

// The server's reason for `status` ("SESSION_NOT_FOUND", ...), or "" where it gave
// none (an OK status, or an error that arose in between).
std::string ErrorReason(const absl::Status& status);

class Client {
 public:
  // Makes a client for `address`: HOST:PORT or unix:/path. Does not wait for a
  // connection: the first call does. INVALID_ARGUMENT for an empty address or options
  // out of range.
  static absl::StatusOr<Client> Connect(const std::string& address, ClientOptions options = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  absl::StatusOr<Session> CreateSession(const SessionOptions& options);
  absl::StatusOr<Session> GetSession(const std::string& session_id);
  // page_size 0: the server's default.
  absl::StatusOr<SessionPage> ListSessions(int page_size = 0, const std::string& page_token = "");
  absl::Status DeleteSession(const std::string& session_id);

  absl::StatusOr<Layer> CreateLayer(const std::string& session_id, const Layer& layer);
  absl::StatusOr<Layer> UpdateLayer(const std::string& session_id, const Layer& layer);
  absl::Status DeleteLayer(const std::string& session_id, const std::string& layer_id);

  // Empty layer_ids: all layers, and the session's mode for later ones. Returns the
  // ids of the layers that were set.
  absl::StatusOr<std::vector<std::string>> SetMode(const std::string& session_id, Mode mode,
                                                   const std::vector<std::string>& layer_ids = {});

  absl::StatusOr<ForwardResult> Forward(const StepRef& step, const TensorView& input,
                                        bool return_mask = false);

  absl::StatusOr<BackwardResult> Backward(const StepRef& step, const TensorView& output_gradient,
                                          const BackwardOptions& options = {});

  // Without a shape: the mask of the step's Forward.
  absl::StatusOr<Mask> GetMask(const StepRef& step, const std::vector<std::int64_t>& shape = {});

  // Empty layer_id: all layers. Returns how many records were forgotten.
  absl::StatusOr<std::uint64_t> ReleaseSteps(const std::string& session_id,
                                             const std::string& layer_id,
                                             std::uint64_t through_step);

  // What the server holds for a layer: drop_connect's `weight` [out, in] and `bias` [out],
  // concrete's `logit_p`, a scalar. All of `parameters` are set, or none.
  absl::Status SetParameters(const std::string& session_id, const std::string& layer_id,
                             const std::vector<Parameter>& parameters);
  absl::StatusOr<std::vector<Parameter>> GetParameters(const std::string& session_id,
                                                       const std::string& layer_id);

  absl::StatusOr<SharedMemory> CreateSharedMemory(const std::string& session_id,
                                                  std::int64_t byte_size);
  absl::Status DeleteSharedMemory(const std::string& session_id, const std::string& region_id);

  absl::StatusOr<ServerInfo> GetServerInfo();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dropout

#endif  // DROPOUT_CLIENT_H_
