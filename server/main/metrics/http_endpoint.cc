#include "server/main/metrics/http_endpoint.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace dropoutd {
namespace {

constexpr int kBacklog = 128;
constexpr std::size_t kReserve = 8;
constexpr std::chrono::milliseconds kPauseAfterFailure{100};

absl::Status CannotListen(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address,
                                             ": the address is taken by another process, or is "
                                             "not one of this machine's"));
}

// A socket that listens at one of the host's addresses; -1 if none can be used.
int ListenAt(absl::string_view host, const std::string& port) {
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(std::string(host).c_str(), port.c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int listener = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) continue;
    const int on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(listener, at->ai_addr, at->ai_addrlen) == 0 && listen(listener, kBacklog) == 0) {
      return listener;
    }
    close(listener);
  }
  return -1;
}

int PortOf(int listener) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(bound.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
}

std::shared_ptr<const HttpAnswer> Refusal(int code) {
  return std::make_shared<const HttpAnswer>(HttpAnswer{
      .code = code, .body = code == 404 ? "no such page\n" : "the server answers GET and HEAD\n"});
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(
    const std::string& address, std::map<std::string, HttpPage> pages) {
  const std::size_t colon = address.rfind(':');
  const int listener =
      ListenAt(absl::string_view(address).substr(0, colon), address.substr(colon + 1));
  if (listener < 0) return CannotListen(address);
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    close(listener);
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": too many files are open"));
  }
  return std::unique_ptr<HttpEndpoint>(
      new HttpEndpoint(listener, wake, absl::StrCat(address.substr(0, colon + 1), PortOf(listener)),
                       std::move(pages)));
}

HttpEndpoint::HttpEndpoint(int listener, int wake, std::string address,
                           std::map<std::string, HttpPage> pages)
    : listener_(listener),
      wake_(wake),
      address_(std::move(address)),
      pages_(std::move(pages)),
      maker_(std::make_unique<PageMaker>(pages_, [this] { Wake(); })),
      thread_([this] { Run(); }) {}

HttpEndpoint::~HttpEndpoint() {
  stop_ = true;
  Wake();
  thread_.join();
  maker_.reset();  // It wakes the thread until it ends.
  close(listener_);
  close(wake_);
  for (const int descriptor : reserve_) close(descriptor);
}

void HttpEndpoint::Wake() const { static_cast<void>(eventfd_write(wake_, 1)); }

void HttpEndpoint::Run() {
  while (!stop_) {
    FillReserve();
    Wait();
    HandOutMade();
    CloseFinished();
  }
  connections_.clear();
}

void HttpEndpoint::Wait() {
  now_ = Clock::now();
  const bool accepts = now_ >= accept_after_;
  Clock::time_point until = accepts ? Clock::time_point::max() : accept_after_;
  std::vector<pollfd> polled = {{.fd = wake_, .events = POLLIN, .revents = 0},
                                {.fd = accepts ? listener_ : -1, .events = POLLIN, .revents = 0}};
  for (const auto& [number, connection] : connections_) {
    polled.push_back({.fd = connection->socket(), .events = connection->events(), .revents = 0});
    until = std::min(until, connection->deadline());
  }
  int milliseconds = -1;
  if (until != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now_).count();
    milliseconds = static_cast<int>(std::max<decltype(left)>(left, 0));
  }
  if (poll(polled.data(), polled.size(), milliseconds) < 0) return;
  now_ = Clock::now();
  eventfd_t ignored = 0;
  if (polled[0].revents != 0) static_cast<void>(eventfd_read(wake_, &ignored));
  std::size_t at = 2;
  for (const auto& [number, connection] : connections_) {
    const short happened = polled[at++].revents;
    if (connection->state() == HttpConnection::State::kMaking && happened != 0) {
      connection->GiveUp();
    } else if (happened != 0) {
      Serve(*connection);
    }
  }
  if (polled[1].revents != 0) AcceptAll();
}

void HttpEndpoint::AcceptAll() {
  // At most so many, and then those that are there have their turn.
  for (std::size_t i = 0; i < kMaxConnections; ++i) {
    const int socket = AcceptOne();
    if (socket < 0) return;
    if (connections_.size() >= kMaxConnections) MakeRoom();
    HttpConnection& connection =
        *connections_.emplace(next_++, std::make_unique<HttpConnection>(socket, now_))
             .first->second;
    // Most have sent their request by now: then a crowd behind them does not matter.
    Serve(connection);
  }
}

int HttpEndpoint::AcceptOne() {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  int socket = accept4(listener_, nullptr, nullptr, kFlags);
  if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
    if (!reserve_.empty()) {
      close(reserve_.back());
      reserve_.pop_back();
    } else {
      MakeRoom();
    }
    socket = accept4(listener_, nullptr, nullptr, kFlags);
  }
  // Otherwise poll would return at once, again and again.
  if (socket < 0 && errno != EAGAIN) accept_after_ = now_ + kPauseAfterFailure;
  return socket;
}

void HttpEndpoint::MakeRoom() {
  const auto given_up = std::ranges::min_element(
      connections_, {}, [](const auto& each) { return each.second->state(); });
  if (given_up != connections_.end()) connections_.erase(given_up);
}

void HttpEndpoint::Serve(HttpConnection& connection) {
  if (connection.state() != HttpConnection::State::kReading) {
    connection.GoOn(now_);
  } else if (const std::optional<HttpRequest> request = connection.Read(now_)) {
    Route(connection, *request);
  }
}

void HttpEndpoint::Route(HttpConnection& connection, const HttpRequest& request) {
  const auto page = pages_.find(request.path);
  if (request.error != 0 || page == pages_.end()) {
    connection.Answer(Refusal(request.error != 0 ? request.error : 404), now_);
  } else if (page->second.is_instant) {
    connection.Answer(std::make_shared<const HttpAnswer>(page->second.make()), now_);
  } else {
    connection.Await({request.path, maker_->Ask(request.path)});
  }
}

void HttpEndpoint::HandOutMade() {
  for (const PageMaker::Made& made : maker_->TakeMade()) {
    for (const auto& [number, connection] : connections_) {
      if (connection->state() == HttpConnection::State::kMaking &&
          connection->awaited().path == made.path && connection->awaited().round <= made.round) {
        connection->Answer(made.answer, now_);
      }
    }
  }
}

void HttpEndpoint::CloseFinished() {
  std::erase_if(connections_, [this](const auto& each) {
    return each.second->is_over() || each.second->deadline() <= now_;
  });
}

void HttpEndpoint::FillReserve() {
  while (reserve_.size() < kReserve) {
    const int descriptor = fcntl(wake_, F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0) return;
    reserve_.push_back(descriptor);
  }
}

}  // namespace dropoutd
