#include "server/store/redis_sentinel_topology.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Several Sentinels may have to be waited for, one after another.
constexpr milliseconds kSentinelTimeout{500};

// How long a Sentinel may say nothing before it is asked whether it is there, and how long one that
// is not there is left alone.
constexpr milliseconds kQuiet{5000};

bool IsLater(const SentinelView& a, const SentinelView& b) {
  return std::tie(a.epoch, a.is_failing_over) > std::tie(b.epoch, b.is_failing_over);
}

absl::Status NoPrimary() {
  return MakeError(Reason::kStoreUnavailable,
                   "Redis: the server that the Sentinels name is no primary");
}

}  // namespace

RedisSentinelTopology::RedisSentinelTopology(const RedisUrl& url)
    : url_(url), sentinels_(url.hosts), peers_(url.login), wake_(eventfd(0, EFD_CLOEXEC)) {
  follower_ = std::thread(&RedisSentinelTopology::Follow, this);
}

RedisSentinelTopology::~RedisSentinelTopology() {
  eventfd_write(wake_, 1);
  follower_.join();
  close(wake_);
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisSentinelTopology::Connect(int) {
  auto connection = ConnectToPrimary();
  if (!connection.ok()) ++suspicions_;
  return connection;
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisSentinelTopology::ConnectToPrimary() {
  DROPOUTD_ASSIGN_OR_RETURN(const Known known, Primary());
  DROPOUTD_ASSIGN_OR_RETURN(auto connection, HiredisConnection::Connect(RedisAddressOf(
                                                 known.primary, url_.login, url_.database)));
  DROPOUTD_ASSIGN_OR_RETURN(ReplicationState state, AskReplicationState(*connection));
  // One that was it and has been told, or will be and was not told yet.
  if (!state.is_primary) return NoPrimary();
  const std::lock_guard lock(history_mutex_);
  history_ = std::move(state.history);
  history_group_ = known.group;
  return connection;
}

absl::Status RedisSentinelTopology::Confirm(int, int group) {
  std::string history;
  {
    const std::lock_guard lock(history_mutex_);
    if (history_group_ == group) history = history_;
  }
  const bool is_replaced = history.empty() || peers_.HaveSuccessorOf(history);
  if (!is_replaced && group_ == group) return absl::OkStatus();
  return MakeError(Reason::kStoreUnavailable, "Redis: another server takes over");
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisSentinelTopology::ConnectAsked(
    std::string_view) {
  return MakeError(Reason::kStoreUnavailable, "Redis: is a cluster, and not behind Sentinels");
}

// --- Who is the primary -----------------------------------------------------------------------

RedisAddress RedisSentinelTopology::SentinelAddress(const RedisHost& host) const {
  RedisAddress address = RedisAddressOf(host, url_.sentinel_login, 0);
  address.connect_timeout = kSentinelTimeout;
  address.command_timeout = kSentinelTimeout;
  return address;
}

absl::StatusOr<RedisSentinelTopology::Known> RedisSentinelTopology::Primary() {
  const std::uint64_t asked = asked_;
  const std::lock_guard lock(ask_mutex_);
  const std::uint64_t suspicions = suspicions_;
  // Whoever has waited while another asked takes its answer, so that no queue builds up.
  if (answered_ != suspicions && asked_ == asked) {
    const auto view = LatestView();
    ++asked_;
    if (!view.ok() && primary_.port == 0) return view.status();
    if (view.ok()) {
      Learn(*view);
      answered_ = suspicions;
    }
  }
  if (primary_.port == 0) {
    return MakeError(Reason::kStoreUnavailable, "Redis: no Sentinel names a primary");
  }
  return Known{primary_, group_};
}

void RedisSentinelTopology::Learn(const SentinelView& view) {
  std::vector<RedisHost> others = view.nodes;
  std::erase(others, view.primary);
  peers_.Set(std::move(others));
  if (view.primary != primary_) ++group_;
  primary_ = view.primary;
}

absl::StatusOr<SentinelView> RedisSentinelTopology::LatestView() {
  std::optional<SentinelView> latest;
  absl::Status error;
  std::vector<RedisHost> answered;
  std::vector<RedisHost> silent;
  for (const RedisHost& sentinel : sentinels_) {
    if (answered.size() > sentinels_.size() / 2) {
      silent.push_back(sentinel);  // Not asked this time.
      continue;
    }
    auto client = RedisSentinelClient::Connect(SentinelAddress(sentinel));
    const auto view = client.ok() ? client->Ask(url_.primary) : client.status();
    (view.ok() ? answered : silent).push_back(sentinel);
    if (!view.ok()) error = view.status();
    if (view.ok() && (!latest.has_value() || IsLater(*view, *latest))) latest = *view;
  }
  answered.insert(answered.end(), silent.begin(), silent.end());
  sentinels_ = std::move(answered);
  if (!latest.has_value()) return error;
  return *latest;
}

// --- News -------------------------------------------------------------------------------------

void RedisSentinelTopology::Follow() {
  std::vector<Listener> listeners;
  for (const RedisHost& host : url_.hosts) listeners.push_back({SentinelAddress(host), {}, {}});
  while (true) {
    bool has_news = false;
    for (Listener& listener : listeners) has_news = HasNews(listener) || has_news;
    if (has_news) {
      ++suspicions_;
      (void)Primary();  // So that idle connections to the old one are not used any more.
    }
    Await(listeners);
    eventfd_t stopped = 0;
    pollfd stop = {.fd = wake_, .events = POLLIN, .revents = 0};
    if (poll(&stop, 1, 0) > 0 && eventfd_read(wake_, &stopped) == 0) return;
  }
}

void RedisSentinelTopology::Await(std::vector<Listener>& listeners) {
  std::vector<pollfd> waits = {{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const Listener& each : listeners) {
    // One that is not there has a negative descriptor, which poll passes over.
    const int fd = each.client.has_value() ? each.client->descriptor() : -1;
    waits.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  poll(waits.data(), waits.size(), static_cast<int>(kQuiet.count()));
}

// What was said while nobody listened is not known: so a new subscription is news.
bool RedisSentinelTopology::HasNews(Listener& listener) {
  if (listener.client.has_value()) {
    const auto has_switched = listener.client->HasSwitched(url_.primary);
    if (has_switched.ok()) return *has_switched;
    listener.client.reset();
  }
  if (steady_clock::now() < listener.next_try) return false;
  listener.next_try = steady_clock::now() + kQuiet;
  auto client = RedisSentinelClient::Connect(listener.sentinel);
  if (!client.ok() || !client->Subscribe().ok()) return false;
  listener.client = *std::move(client);
  return true;
}

}  // namespace dropoutd
