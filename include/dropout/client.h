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
// to repeat, and is repeated after UNAVAILABLE, and after the CANCELLED of a server that
// shuts down, with growing pauses until its time is used up; from the second time on it waits
// for a connection. A Delete that is repeated and finds nothing has succeeded.
//
// Thread safety: a Client may be used from any number of threads at once. It can be
// moved and not copied; no call may run while it is moved or destroyed.
#ifndef DROPOUT_CLIENT_H_
#define DROPOUT_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dropout/types.h"

namespace dropout {

// How to know a server by its certificate. All PEM text, not paths.
struct TlsOptions {
  std::string ca_certificates;    // Of the server's authority; empty: the system's.
  std::string certificate_chain;  // This client's own, where the server asks for one.
  std::string private_key;
  std::string server_name;  // In the server's certificate, if it is not the address's host.
};

// How the tensors of Forward and Backward travel.
enum class Transport {
  // In the message of a unary call: at most 2 GiB, and what the server's limits allow.
  kInline,

  // In pieces through a stream: any size, with little memory on the way.
  kStream,

  // Through memory that a server on the same host shares. Tensors in a SharedBuffer stay where
  // they are; others are copied in and out.
  kSharedMemory,

  // kSharedMemory where the server is local and offers it, and the tensor is large enough for it
  // to pay; else kInline, or kStream for what is large.
  kAuto,
};

struct ClientOptions {
  // Time that one call may take, retries and pauses included: how long a server may be away. 0: no
  // limit.
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);

  // How often a call that is safe to repeat is sent at most, 1 or more; 1 switches retries off. The
  // default leaves it to the timeout.
  int max_attempts = std::numeric_limits<int>::max();

  // Pause before the second attempt; it doubles up to max_backoff. Each pause is
  // shortened by a random share of up to a half. 0 or more.
  std::chrono::nanoseconds initial_backoff = std::chrono::milliseconds(50);
  std::chrono::nanoseconds max_backoff = std::chrono::seconds(2);

  // Called before a call that failed so is repeated, by the thread that makes the call. May be
  // null; must not throw.
  std::function<void(const absl::Status& failure)> on_retry;

  // The largest message that is accepted, at most 2^31 - 1; -1: any. gRPC's own default, 4 MiB, is
  // smaller than what a server with default flags sends.
  std::int64_t max_receive_bytes = -1;

  // Nothing: no encryption.
  std::optional<TlsOptions> tls;

  // A bearer token that goes with every call. Without TLS it is refused, unless the address is
  // a Unix socket or a loopback one, or allow_plain_token is set.
  std::string token;
  bool allow_plain_token = false;
  Transport transport = Transport::kInline;

  // Size of the pieces of kStream, from 1 KiB up.
  std::size_t stream_piece_bytes = std::size_t{1} << 20;
};

// The server's reason for `status` ("SESSION_NOT_FOUND", ...), or "" where it gave
// none (an OK status, or an error that arose in between).
std::string ErrorReason(const absl::Status& status);

// Memory that this process and a server on the same host both map, for tensors that are to
// travel without a copy. Movable. Unmapped at its end; the region behind it lasts until
// Client::DeleteSharedMemory or the end of its session. Thread-safe as far as its bytes go.
class SharedBuffer {
 public:
  SharedBuffer(SharedBuffer&&) noexcept;
  SharedBuffer& operator=(SharedBuffer&&) noexcept;
  ~SharedBuffer();

  void* data() const;
  std::size_t size() const;
  const std::string& region_id() const;

 private:
  friend class Client;
  class Impl;
  explicit SharedBuffer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Client {
 public:
  // Makes a client for `address`: HOST:PORT or unix:/path. Does not wait for a
  // connection: the first call does. INVALID_ARGUMENT for an empty address or options
  // out of range.
  static absl::StatusOr<Client> Connect(const std::string& address, ClientOptions options = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // INVALID_ARGUMENT, and nothing is sent, for a layer with neither p nor a schedule that does not
  // learn p (Concrete).
  absl::StatusOr<Session> CreateSession(const SessionOptions& options);
  absl::StatusOr<Session> GetSession(const std::string& session_id);
  // page_size 0: the server's default.
  absl::StatusOr<SessionPage> ListSessions(int page_size = 0, const std::string& page_token = "");
  absl::Status DeleteSession(const std::string& session_id);

  // A session with its layers, parameters and steps as bytes, for ImportSession of any server.
  absl::StatusOr<std::string> ExportSession(const std::string& session_id);
  // The session's id is the copy's; empty: the client picks one.
  absl::StatusOr<Session> ImportSession(const std::string& snapshot,
                                        const std::string& session_id = "");
  // A copy of a session on its server, with the same masks so far. An empty id as above.
  absl::StatusOr<Session> ForkSession(const std::string& session_id,
                                      const std::string& new_session_id = "");

  // As CreateSession for a layer without p.
  absl::StatusOr<Layer> CreateLayer(const std::string& session_id, const Layer& layer);
  absl::StatusOr<Layer> UpdateLayer(const std::string& session_id, const Layer& layer);
  absl::Status DeleteLayer(const std::string& session_id, const std::string& layer_id);

  // Empty layer_ids: all layers, and the session's mode for later ones. Returns the
  // ids of the layers that were set.
  absl::StatusOr<std::vector<std::string>> SetMode(const std::string& session_id, Mode mode,
                                                   const std::vector<std::string>& layer_ids = {});

  absl::StatusOr<ForwardResult> Forward(const StepRef& step, const TensorView& input,
                                        bool return_mask = false);

  // The same with the output's bytes in the caller's memory instead of in the result. `byte_size`
  // is exactly the output's: that of the input, or for a linear drop_connect that of out_features
  // numbers for in_features. INVALID_ARGUMENT otherwise, shorter or longer, before anything is sent
  // to the layer; for this the client asks the server once for each layer (GetSession), and once
  // more before it refuses. Bytes past byte_size are never written. Null and 0: as Forward; null
  // with another size is INVALID_ARGUMENT. `output` may be the input's own place. After an error
  // its bytes may be anything.
  absl::StatusOr<ForwardResult> ForwardInto(const StepRef& step, const TensorView& input,
                                            void* output, std::size_t byte_size,
                                            bool return_mask = false);
  absl::StatusOr<BackwardResult> Backward(const StepRef& step, const TensorView& output_gradient,
                                          const BackwardOptions& options = {});

  // As ForwardInto.
  absl::StatusOr<BackwardResult> BackwardInto(const StepRef& step,
                                              const TensorView& output_gradient,
                                              void* input_gradient, std::size_t byte_size,
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

  // A region and its mapping. FAILED_PRECONDITION if the server is not on this host.
  absl::StatusOr<SharedBuffer> CreateSharedBuffer(const std::string& session_id,
                                                  std::size_t byte_size);

  absl::StatusOr<ServerInfo> GetServerInfo();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dropout

#endif  // DROPOUT_CLIENT_H_
