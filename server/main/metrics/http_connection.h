// One connection of an HTTP endpoint: a request, its answer, its end.
#ifndef DROPOUTD_SERVER_MAIN_METRICS_HTTP_CONNECTION_H_
#define DROPOUTD_SERVER_MAIN_METRICS_HTTP_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/main/metrics/http_page.h"
#include "server/main/metrics/http_request.h"

namespace dropoutd {

// Owns a socket, which does not block. Each part of its life has a bound in time, however busy its
// client keeps it. Not thread-safe.
class HttpConnection {
 public:
  using Clock = std::chrono::steady_clock;

  // In the order in which they may be given up where there is no room.
  enum class State {
    kEnding,   // All is sent; waits for the client to close.
    kReading,  // Waits for the client's request.
    kSending,  // Waits for the client to take the answer.
    kMaking,   // Waits for us.
  };

  HttpConnection(int socket, Clock::time_point now);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  int socket() const { return socket_; }
  State state() const { return state_; }
  Clock::time_point deadline() const { return deadline_; }
  short events() const;  // What poll shall wait for.

  // kReading. The request, if it has come; nothing with is_over(): the client is gone.
  std::optional<HttpRequest> Read(Clock::time_point now);

  // After Read: the page that will be given to Answer.
  struct Wanted {
    std::string path;
    std::uint64_t round = 0;
  };
  void Await(Wanted page);
  const Wanted& awaited() const { return awaited_; }

  // After Read or Await: sends as much as goes out now.
  void Answer(std::shared_ptr<const HttpAnswer> answer, Clock::time_point now);

  // Goes on sending, or with its end.
  void GoOn(Clock::time_point now);

  // Nothing more can be done for it.
  bool is_over() const { return is_over_; }
  void GiveUp() { is_over_ = true; }

 private:
  void Send(Clock::time_point now);
  void Discard();

  const int socket_;
  State state_ = State::kReading;
  bool is_over_ = false;
  bool with_body_ = true;
  Clock::time_point deadline_;
  std::string received_;
  Wanted awaited_;
  std::string head_;
  std::shared_ptr<const HttpAnswer> answer_;
  std::size_t sent_ = 0;  // Of head and body.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_METRICS_HTTP_CONNECTION_H_
