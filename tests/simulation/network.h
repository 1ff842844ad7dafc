// Messages between servers and a simulated Redis.
#ifndef DROPOUTD_TESTS_SIMULATION_NETWORK_H_
#define DROPOUTD_TESTS_SIMULATION_NETWORK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/store/redis_connection.h"
#include "server/store/redis_topology.h"
#include "tests/simulation/network_options.h"
#include "tests/simulation/redis_site.h"
#include "tests/simulation/scheduler.h"

namespace dropoutd {

// As TCP: what one connection carries stays in order, and what was sent arrives even where the
// sender has closed the connection since, as long as the receiver's process lives. Messages of
// different connections overtake each other. Not thread-safe, as RedisSite.
class Network {
 public:
  static constexpr std::chrono::seconds kConnectTimeout{1};
  static constexpr std::chrono::seconds kCommandTimeout{3};

  Network(Scheduler& scheduler, RedisSite& site, std::size_t clients);

  void set_options(const NetworkOptions& options) { options_ = options; }
  const NetworkOptions& options() const { return options_; }

  // Hears of every request that Redis carries out and its answer, for the history.
  using Observer =
      std::function<void(std::size_t client, const RespWords& words, const RespValue& answer)>;
  void set_observer(Observer observer) { observer_ = std::move(observer); }

  // A client and Redis hear nothing of each other until then.
  void Partition(std::size_t client, Scheduler::Time until);

  // A client that has ended and is back: nothing more is sent by what it was.
  void Crash(std::size_t client);

  // One more client; and one that has ended for good, whatever goes on in its name.
  std::size_t AddClient();
  void End(std::size_t client);

  // All that is held is let go, and all partitions end.
  void Heal();

  // Where the client looks for the primary after it has suspected the one it knew.
  std::unique_ptr<RedisTopology> MakeTopology(std::size_t client);

  Scheduler& scheduler() { return scheduler_; }
  RedisSite& site() { return site_; }

 private:
  friend class SimulatedConnection;
  friend class SimulatedTopology;

  // A connection, as long as either end or a message knows of it.
  struct Wire {
    std::size_t client = 0;
    std::size_t node = 0;
    std::uint64_t process = 0;
    std::uint64_t run = 0;            // Of the client: counts its crashes.
    Scheduler::Time last_request{0};  // When it arrives.
    Scheduler::Time last_answer{0};
    std::deque<RespValue> answers;  // That have arrived.
    bool is_given_up = false;       // The client waits for nothing more of it.
    bool is_cut = false;            // And the client can know it.
    std::optional<Scheduler::ThreadId> waiter;
  };
  using WirePtr = std::shared_ptr<Wire>;

  struct Client {
    Scheduler::Time partition_end{0};
    std::uint64_t run = 0;
    bool has_ended = false;
  };

  Scheduler::Time Delay();
  Scheduler::Time Hold();
  Scheduler::Time ArrivalOf(std::size_t client, Scheduler::Time last);
  bool IsPartitioned(std::size_t client) const {
    return clients_[client].partition_end > scheduler_.now();
  }
  // A command on its way.
  struct Request {
    WirePtr wire;
    RespWords words;
    bool is_answered = false;
  };
  using RequestPtr = std::shared_ptr<Request>;

  void Send(const WirePtr& wire, RespWords words);
  void Deliver(const RequestPtr& request);
  void DeliverAgain(const RequestPtr& request);
  RespValue Execute(const Request& request);
  void Answer(const RequestPtr& request, RespValue answer);
  void Cut(const WirePtr& wire);

  Scheduler& scheduler_;
  RedisSite& site_;
  NetworkOptions options_;
  Observer observer_;
  std::vector<Client> clients_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_NETWORK_H_
