// Tensors in pieces, through streams that are kept for the next call.
#ifndef DROPOUTD_CLIENT_STREAM_CALL_H_
#define DROPOUTD_CLIENT_STREAM_CALL_H_

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/step_call.h"

namespace dropout {

class ExchangeStream;

// Streams that no call uses at the moment. Thread-safe.
class StreamTransport {
 public:
  StreamTransport(Connection& connection, std::size_t piece_bytes);
  ~StreamTransport();

  absl::StatusOr<StepAnswer> Call(const StepCall& call, TimeLeft time_left);

 private:
  using Clock = std::chrono::steady_clock;

  struct Idle {
    std::unique_ptr<ExchangeStream> stream;
    Clock::time_point since;
  };

  std::unique_ptr<ExchangeStream> Open(const StepCall& call);
  // An idle one of the session; null if there is none.
  std::unique_ptr<ExchangeStream> Take(const std::string& session_id);
  void Return(std::unique_ptr<ExchangeStream> stream);

  Connection& connection_;
  const std::size_t piece_bytes_;
  std::mutex mutex_;
  std::vector<Idle> idle_;  // Used last is last.
};

}  // namespace dropout

#endif  // DROPOUTD_CLIENT_STREAM_CALL_H_
