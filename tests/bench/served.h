// Servers for benchmarks, with a session and a layer in them, and requests to them as bytes.
#ifndef DROPOUTD_TESTS_BENCH_SERVED_H_
#define DROPOUTD_TESTS_BENCH_SERVED_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "dropout/client.h"
#include "dropout/v1/dropout_service.pb.h"
#include "tests/bench/child.h"
#include "tests/bench/echo_server.h"

namespace dropoutd::bench {

inline constexpr double kP = 0.3;
inline constexpr char kSession[] = "bench";
inline constexpr char kLayer[] = "layer";
inline constexpr char kForward[] = "/dropout.v1.DropoutService/Forward";
inline constexpr char kBackward[] = "/dropout.v1.DropoutService/Backward";
inline constexpr char kInfo[] = "/dropout.v1.DropoutService/GetServerInfo";
inline constexpr char kTcp[] = "127.0.0.1:0";

// Removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string Socket(const std::string& name) const { return "unix:" + *this / name; }

 private:
  std::filesystem::path path_;
};

// Throws std::runtime_error unless `status` is OK.
void Check(const absl::Status& status);

// A dropoutd at `address`, with `flags` beside.
ServerChild StartServer(const std::string& address, std::vector<std::string> flags = {});

// An echo server of the model (echo_server.h) at `address`.
ServerChild StartEcho(const std::string& model, const std::string& address,
                      const ChannelSettings& settings = {});

dropout::Client ClientOf(const std::string& address, dropout::Transport transport);

// Adds a session with a Bernoulli layer kLayer of probability kP.
void MakeSession(const std::string& address, const std::string& session_id = kSession);

grpc::ByteBuffer ToBytes(const google::protobuf::MessageLite& message);

// A call of step 1 with `byte_size` bytes of float32.
dropout::v1::ForwardRequest ForwardOf(std::size_t byte_size);

// "64 B", "256 KiB", "16 MiB".
std::string SizeName(std::size_t byte_size);

}  // namespace dropoutd::bench

#endif  // DROPOUTD_TESTS_BENCH_SERVED_H_
