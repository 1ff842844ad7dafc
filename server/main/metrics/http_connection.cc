#include "server/main/metrics/http_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

constexpr std::chrono::seconds kRequestTime{3};
constexpr std::chrono::seconds kAnswerTime{10};
constexpr std::chrono::seconds kEndingTime{1};

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

const char* ReasonPhrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

std::string Head(const HttpAnswer& answer) {
  return absl::StrCat("HTTP/1.1 ", answer.code, " ", ReasonPhrase(answer.code),
                      "\r\nContent-Type: ", answer.type, "\r\nContent-Length: ", answer.body.size(),
                      answer.code == 405 ? "\r\nAllow: GET, HEAD" : "",
                      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                      "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
                      "Connection: close\r\n\r\n");
}

}  // namespace

HttpConnection::HttpConnection(int socket, Clock::time_point now)
    : socket_(socket), deadline_(now + kRequestTime) {}

HttpConnection::~HttpConnection() {
  if (state_ == State::kSending) {
    // The kernel would keep the rest of the answer for a client that does not read.
    const linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  }
  close(socket_);
}

short HttpConnection::events() const {
  switch (state_) {
    case State::kReading:
    case State::kEnding:
      return POLLIN;
    case State::kSending:
      return POLLOUT;
    case State::kMaking:
      break;
  }
  return 0;  // poll tells of a client that is gone all the same.
}

std::optional<HttpRequest> HttpConnection::Read(Clock::time_point now) {
  char bytes[4096];
  while (true) {
    const ssize_t count = recv(socket_, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (count <= 0) {
      is_over_ = count == 0 || !WouldBlock();
      return std::nullopt;
    }
    received_.append(bytes, static_cast<std::size_t>(count));
    std::optional<HttpRequest> request = ParseHttpRequest(received_);
    if (!request.has_value()) continue;
    with_body_ = !request->is_head;
    deadline_ = now + kAnswerTime;
    return request;
  }
}

void HttpConnection::Await(Wanted page) {
  awaited_ = std::move(page);
  state_ = State::kMaking;
}

void HttpConnection::Answer(std::shared_ptr<const HttpAnswer> answer, Clock::time_point now) {
  answer_ = std::move(answer);
  head_ = Head(*answer_);
  state_ = State::kSending;
  Send(now);
}

void HttpConnection::GoOn(Clock::time_point now) {
  if (state_ == State::kSending) Send(now);
  if (state_ == State::kEnding) Discard();
}

void HttpConnection::Send(Clock::time_point now) {
  const std::size_t size = head_.size() + (with_body_ ? answer_->body.size() : 0);
  while (sent_ < size) {
    const std::string_view rest =
        sent_ < head_.size() ? std::string_view(head_).substr(sent_)
                             : std::string_view(answer_->body).substr(sent_ - head_.size());
    const int more = sent_ + rest.size() < size ? MSG_MORE : 0;
    const ssize_t count =
        send(socket_, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL | more);
    if (count < 0) {
      is_over_ = !WouldBlock();
      return;
    }
    sent_ += static_cast<std::size_t>(count);
  }
  // To close at once could take the answer from a client that has sent more than was read.
  shutdown(socket_, SHUT_WR);
  answer_.reset();
  state_ = State::kEnding;
  deadline_ = now + kEndingTime;
}

void HttpConnection::Discard() {
  char bytes[4096];
  const ssize_t count = recv(socket_, bytes, sizeof(bytes), MSG_DONTWAIT);
  is_over_ = count == 0 || (count < 0 && !WouldBlock());
}

}  // namespace dropoutd
