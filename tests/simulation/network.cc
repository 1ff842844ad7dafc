#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

#include "server/base/error.h"

namespace dropoutd {
namespace {

absl::Status Lost(std::string_view why) {
  return MakeError(Reason::kStoreUnavailable, std::string("Redis: ").append(why));
}

}  // namespace

class SimulatedConnection final : public RedisConnection {
 public:
  SimulatedConnection(Network& network, Network::WirePtr wire)
      : network_(network), wire_(std::move(wire)) {}
  ~SimulatedConnection() override {
    wire_->waiter.reset();
    wire_->is_given_up = true;
  }

  using RedisConnection::Append;
  void Append(const RedisArguments& command) override {
    queue_.emplace_back(command.begin(), command.end());
  }

  absl::StatusOr<RedisValue> Receive() override {
    Scheduler& scheduler = network_.scheduler();
    for (RespWords& words : queue_) network_.Send(wire_, std::move(words));
    queue_.clear();
    const Scheduler::Time until = scheduler.now() + Network::kCommandTimeout;
    wire_->waiter = scheduler.current();
    if (wire_->answers.empty() && !is_broken()) scheduler.Yield();
    while (wire_->answers.empty() && !is_broken()) {
      if (scheduler.Block(until)) continue;
      if (scheduler.now() >= until) wire_->is_given_up = wire_->answers.empty();
    }
    wire_->waiter.reset();
    if (is_broken()) return Lost("the connection was lost");
    const RespValue answer = std::move(wire_->answers.front());
    wire_->answers.pop_front();
    return ToRedisValue(answer);
  }

  bool is_broken() const override {
    return wire_->is_given_up || (wire_->is_cut && wire_->answers.empty());
  }

  bool HasBeenClosed() override {
    if (network_.scheduler().random().Chance(network_.options().idle_close)) network_.Cut(wire_);
    return is_broken();
  }

 private:
  Network& network_;
  const Network::WirePtr wire_;
  std::vector<RespWords> queue_;
};

class SimulatedTopology final : public RedisTopology {
 public:
  SimulatedTopology(Network& network, std::size_t client) : network_(network), client_(client) {}

  absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(int) override {
    RedisSite& site = network_.site();
    Scheduler& scheduler = network_.scheduler();
    if (is_suspected_) Look();
    const std::size_t node = known_;
    if (network_.clients_[client_].has_ended) return Lost("this server has ended");
    if (network_.IsPartitioned(client_)) {
      scheduler.Sleep(Network::kConnectTimeout);
      return Lost("cannot be reached");
    }
    scheduler.Sleep(network_.Delay());
    if (!site.is_up(node) || site.redis(node).is_read_only()) {
      is_suspected_ = true;
      return Lost("cannot be reached");
    }
    auto wire = std::make_shared<Network::Wire>();
    wire->client = client_;
    wire->node = node;
    wire->process = site.process(node);
    wire->run = network_.clients_[client_].run;
    return std::make_unique<SimulatedConnection>(network_, std::move(wire));
  }

  int GroupOf(int) override { return group_; }
  void Suspect(int, std::string_view) override { is_suspected_ = true; }
  absl::StatusOr<std::unique_ptr<RedisConnection>> ConnectAsked(std::string_view) override {
    return Lost("is no cluster");
  }
  absl::Status Confirm(int, int group) override {
    network_.scheduler().Sleep(network_.Delay());
    const bool is_so = group == group_ && known_ == network_.site().primary();
    return is_so ? absl::OkStatus() : Lost("another server has taken over");
  }
  bool is_cluster() const override { return false; }

 private:
  void Look() {
    is_suspected_ = false;
    const std::size_t primary = network_.site().primary();
    if (primary != known_) ++group_;
    known_ = primary;
  }

  Network& network_;
  const std::size_t client_;
  std::size_t known_ = 0;
  int group_ = 0;
  bool is_suspected_ = true;
};

Network::Network(Scheduler& scheduler, RedisSite& site, std::size_t clients)
    : scheduler_(scheduler), site_(site), clients_(clients) {}

std::unique_ptr<RedisTopology> Network::MakeTopology(std::size_t client) {
  return std::make_unique<SimulatedTopology>(*this, client);
}

void Network::Partition(std::size_t client, Scheduler::Time until) {
  clients_[client].partition_end = until;
}

void Network::Crash(std::size_t client) { ++clients_[client].run; }

std::size_t Network::AddClient() {
  clients_.emplace_back();
  return clients_.size() - 1;
}

void Network::End(std::size_t client) {
  Crash(client);
  clients_[client].has_ended = true;
}

void Network::Heal() {
  for (Client& client : clients_) client.partition_end = Scheduler::Time(0);
  options_ = NetworkOptions::Good();
}

Scheduler::Time Network::Delay() {
  RandomSource64& random = scheduler_.random();
  const bool is_slow = random.Chance(options_.slow);
  return random.Between(options_.shortest_delay,
                        is_slow ? options_.slow_delay : options_.longest_delay);
}

// Seldom for long.
Scheduler::Time Network::Hold() {
  RandomSource64& random = scheduler_.random();
  return random.Between(Scheduler::Time(0),
                        random.Between(Scheduler::Time(0), options_.longest_hold));
}

// TCP sends again what a partition has swallowed, soon after its end.
Scheduler::Time Network::ArrivalOf(std::size_t client, Scheduler::Time last) {
  RandomSource64& random = scheduler_.random();
  Scheduler::Time at = std::max(scheduler_.now(), clients_[client].partition_end) + Delay();
  if (random.Chance(options_.hold)) at += Hold();
  return std::max(at, last);
}

void Network::Send(const WirePtr& wire, RespWords words) {
  RandomSource64& random = scheduler_.random();
  if (wire->run != clients_[wire->client].run) return Cut(wire);
  if (random.Chance(options_.cut)) return Cut(wire);
  wire->last_request = ArrivalOf(wire->client, wire->last_request);
  const auto request = std::make_shared<Request>(Request{wire, std::move(words)});
  if (random.Chance(options_.duplicate)) {
    scheduler_.At(wire->last_request + Hold(), [this, request] { DeliverAgain(request); });
  }
  scheduler_.At(wire->last_request, [this, request] { Deliver(request); });
}

void Network::Deliver(const RequestPtr& request) {
  const Wire& wire = *request->wire;
  // What a connection carries arrives even where the client has closed it.
  if (!site_.is_up(wire.node) || site_.process(wire.node) != wire.process) {
    return Cut(request->wire);
  }
  Answer(request, Execute(*request));
}

// Nothing on the way sends a command again that was answered.
void Network::DeliverAgain(const RequestPtr& request) {
  const Wire& wire = *request->wire;
  if (request->is_answered || !(wire.is_cut || wire.is_given_up)) return;
  if (site_.is_up(wire.node) && site_.process(wire.node) == wire.process) Execute(*request);
}

RespValue Network::Execute(const Request& request) {
  RespValue answer = site_.redis(request.wire->node).Execute(request.words);
  if (observer_) observer_(request.wire->client, request.words, answer);
  return answer;
}

void Network::Answer(const RequestPtr& request, RespValue answer) {
  const WirePtr& wire = request->wire;
  if (scheduler_.random().Chance(options_.cut_after)) return Cut(wire);
  wire->last_answer = ArrivalOf(wire->client, wire->last_answer);
  scheduler_.At(wire->last_answer, [this, request, arrived = std::move(answer)] {
    Wire& to = *request->wire;
    if (to.is_cut || to.is_given_up) return;
    request->is_answered = true;
    to.answers.push_back(arrived);
    if (to.waiter) scheduler_.Wake(*to.waiter);
  });
}

void Network::Cut(const WirePtr& wire) {
  wire->is_cut = true;
  if (wire->waiter) scheduler_.Wake(*wire->waiter);
}

}  // namespace dropoutd
